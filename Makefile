# Developer's commands. Needs Rust, Go, make and a C compiler; `make image` needs a container builder.
SHELL := bash
MAKEFLAGS += --no-print-directory
CONTROLPLANE := $(CURDIR)/target/controlplane
CARGO_FLAGS ?= --locked
# The image's tag is the version, which is what the chart asks for.
IMAGE ?= fanfare:$(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test prove-crash prove-power prove-disk prove-model prove-zoo prove-formats prove-prometheus soak fmt lint crds docs chart promtools controlplane verify bench bench-peers bench-scale bench-isolation bench-listing bench-restart bench-semantics image run

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## The whole path on a real API server, shown step by step (KEEP=1 leaves it running; KUBECONFIG: use that cluster)
	@KEEP='$(KEEP)' bash tests/demo/demo.sh

demo-stop: ## End a demo that was left running
	@bash tests/demo/demo.sh stop

test: controlplane promtools chart ## Every test, on a real API server too (cold: about 15 minutes on two cores; then about 5)
	@echo "test: Rust unit and integration tests"
	FANFARE_CONTROLPLANE_BIN='$(CONTROLPLANE)' cargo test $(CARGO_FLAGS) --no-fail-fast

PROVE := cargo test $(CARGO_FLAGS) --test it
HISTORIES := dispatch::model dispatch::histories dispatch::groups::histories

prove-crash: ## kill -9 under load loses nothing acknowledged (FANFARE_KILLS: how often, 20)
	$(PROVE) crash:: -- --nocapture

prove-power: ## Power cuts on a simulated disk lose nothing acknowledged (FANFARE_CUTS: how many, 2000)
	$(PROVE) store::power

prove-disk: ## I/O errors, full and slow disks, damaged files (FANFARE_FLIPS: how many damaged files, 1000)
	$(PROVE) -- store::errors store::slow store::damage store::pages store::bounds store::suspect store::branch store::checked store::process whole::disk whole::data_dir kept::squeeze

prove-model: ## What is owed, against a naive model (FANFARE_SEQUENCES: random histories, 250; make soak plays 100,000, optimized)
	$(PROVE) -- $(HISTORIES) --nocapture

prove-zoo: ## Every delivery fault, by receivers that really fail that way
	$(PROVE) delivery::zoo

prove-formats: ## An earlier format is read, an unknown one refused
	$(PROVE) store::formats

prove-prometheus: $(CONTROLPLANE)/prometheus ## Rules of a real Prometheus: told once, repeated, resolved once (cold: 10 minutes; then 3)
	FANFARE_PROMETHEUS_BIN='$<' $(PROVE) prometheus:: -- --nocapture

# Service discovery of the clouds is left out: it is most of the program.
$(CONTROLPLANE)/prometheus: tests/promtools/go.mod
	@echo "prove-prometheus: building Prometheus from its Go module"
	@mkdir -p '$(CONTROLPLANE)' && rm -rf '$@.src'
	@cd tests/promtools && go mod download github.com/prometheus/prometheus \
		&& cp -r "$$(go list -m -f '{{.Dir}}' github.com/prometheus/prometheus)" '$@.src' && chmod -R u+w '$@.src'
	@cd '$@.src' && GOWORK=off go build -trimpath -tags remove_all_sd -ldflags '-s -w' -o '$@' ./cmd/prometheus
	@rm -rf '$@.src'

# How long the soak is; each can be given on the command line.
SOAK_KILLS ?= 1000
SOAK_CUTS ?= 30000
SOAK_FLIPS ?= 20000
SOAK_SEQUENCES ?= 100000
SOAK := cargo test $(CARGO_FLAGS) --profile soak --test it --no-fail-fast --

soak: ## The long proofs: kill -9, power cuts, damaged files, random sequences (hours; SOAK_KILLS, SOAK_CUTS, SOAK_FLIPS, SOAK_SEQUENCES)
	FANFARE_KILLS=$(SOAK_KILLS) $(SOAK) crash:: --nocapture
	FANFARE_SEQUENCES=$(SOAK_SEQUENCES) $(SOAK) $(HISTORIES) --nocapture
	FANFARE_KILLS=$(SOAK_KILLS) FANFARE_CUTS=$(SOAK_CUTS) FANFARE_FLIPS=$(SOAK_FLIPS) FANFARE_SEQUENCES=5000 $(SOAK) store::

fmt: ## Format Rust and Go
	cargo fmt
	gofmt -w tests

lint: ## Check format, clippy and doc links, warnings denied
	cargo fmt --check
	cargo clippy --all-targets $(CARGO_FLAGS) -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --lib $(CARGO_FLAGS)
	@unformatted=$$(gofmt -l tests); test -z "$$unformatted" || { echo "run make fmt: $$unformatted"; exit 1; }

crds: ## Write crds/ and the chart's copy from the types in src/api
	cargo run $(CARGO_FLAGS) --quiet -- crd --output-dir crds
	cp crds/*.yaml charts/fanfare/files/crds/

docs: ## Write the generated tables of README.md
	UPDATE_DOCS=1 cargo test $(CARGO_FLAGS) --test it docs

chart: controlplane ## Lint the Helm chart
	@echo "test: helm lint"
	@'$(CONTROLPLANE)/helm' lint --strict --quiet charts/fanfare

promtools: ## Test the alert rules with Prometheus' own packages (cold: 2 to 4 minutes)
	@echo "test: alert rules and metrics text with Prometheus' own packages (the first build takes 2 to 4 minutes)"
	@mkdir -p '$(CONTROLPLANE)'
	@cd tests/promtools && go build -o '$(CONTROLPLANE)/checkmetrics' ./cmd/checkmetrics && go test -count=1 ./...

controlplane: ## Build kube-apiserver, etcd and tools into target/controlplane (cold: about 10 minutes, once)
	@bash tests/controlplane/build.sh '$(CONTROLPLANE)'

verify: lint crds docs test ## All of these, then a clean tree
	@changes=$$(git status --porcelain); \
	if [ -n "$$changes" ]; then echo "verify: generated files differ from what is committed:"; echo "$$changes"; exit 1; fi

# Everything is built before the first figure is taken.
bench: controlplane ## All benchmarks; a table and plots in target/bench (builds first; then at most 20 minutes)
	cargo bench $(CARGO_FLAGS) --no-run
	rm -rf target/criterion target/bench
	cargo bench $(CARGO_FLAGS) --bench engine --bench footprint --bench routing --bench render
	cargo bench $(CARGO_FLAGS) --bench semantics --bench listing --bench restart
	FANFARE_CONTROLPLANE_BIN='$(CONTROLPLANE)' cargo bench $(CARGO_FLAGS) --bench load -- intake delivery isolation memory scale
	cargo bench $(CARGO_FLAGS) --bench summary

bench-peers: controlplane ## The same load for Alertmanager and for Fanfare, in turns, three rounds
	FANFARE_CONTROLPLANE_BIN='$(CONTROLPLANE)' cargo bench $(CARGO_FLAGS) --bench load -- peers

bench-scale: controlplane ## 10,000 targets and 10,000 routes on a real API server (FANFARE_OBJECTS)
	FANFARE_OBJECTS=$${FANFARE_OBJECTS:-10000} FANFARE_CONTROLPLANE_BIN='$(CONTROLPLANE)' cargo bench $(CARGO_FLAGS) --bench load -- scale

bench-isolation: ## Half of 100 targets broken against none (FANFARE_PAIRS, FANFARE_SECONDS, FANFARE_RATE)
	cargo bench $(CARGO_FLAGS) --bench load -- isolation

bench-listing: ## GET /api/v2/alerts of 10,000 alerts (FANFARE_ALERTS) from the whole program
	cargo bench $(CARGO_FLAGS) --bench listing

bench-restart: ## A start with 100,000 owed alerts, and one with a million queued records (FANFARE_ALERTS, FANFARE_RECORDS)
	cargo bench $(CARGO_FLAGS) --bench restart

bench-semantics: ## Routing, re-sends and 100,000 groups without disk and network (FANFARE_ALERTS)
	cargo bench $(CARGO_FLAGS) --bench semantics

image: ## Build the container image (IMAGE=fanfare:VERSION) that the chart runs
	@builder=$$(command -v docker || command -v podman) || { echo "image: needs docker or podman"; exit 1; }; \
	"$$builder" build -t '$(IMAGE)' .

run: ## Run from examples/quickstart, without Kubernetes
	cargo run $(CARGO_FLAGS) -- run --manifests examples/quickstart --allow-cidr 127.0.0.0/8 --log-format text
