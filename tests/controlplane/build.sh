#!/usr/bin/env bash
# Builds a real Kubernetes control plane and its tools from pinned Go modules into target/controlplane.
# Usage: tests/controlplane/build.sh [OUTPUT_DIR]. Needs Go. Cold on two cores: 8 to 12 minutes; later runs: a second.
# With KUBEBUILDER_ASSETS set, etcd, kube-apiserver and kubectl are taken from there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/../../target/controlplane}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"

say() { printf 'controlplane: %s\n' "$*" >&2; }

command -v go >/dev/null || { say "Go is missing: install Go $(awk '$1 == "go" {print $2}' go.mod) or newer (https://go.dev/dl)"; exit 1; }

# Version strings: clients complain about a server without one.
kubernetes=$(awk '$1 == "k8s.io/kubernetes" {print $2}' go.mod)
minor=${kubernetes#v1.}
minor=${minor%%.*}
stamp_of() {
  { go version; echo "${KUBEBUILDER_ASSETS:-}"; cat build.sh go.mod go.sum tools.go; find cmd amtimelines -name '*.go' | LC_ALL=C sort | xargs cat; } | cksum
}
stamp=$(stamp_of)

programs=(etcd kube-apiserver kubectl helm kubeconform amtool alertmanager amoracle amtimelines controlplane)
complete() {
  local program
  [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ] || return 1
  for program in "${programs[@]}"; do [ -x "$out/$program" ] || return 1; done
}
complete && exit 0

# One build at a time for one output directory.
if command -v flock >/dev/null; then
  exec 9>"$out/.lock"
  flock 9
  complete && exit 0
fi

# The published module lacks the built page that the program embeds: it is built from a copy with an empty one.
alertmanager() {
  local copy start=$SECONDS version
  copy=$out/.alertmanager
  version=$(awk '$1 == "github.com/prometheus/alertmanager" {print $2}' go.mod)
  say "building alertmanager (github.com/prometheus/alertmanager/cmd/alertmanager)"
  rm -rf "$copy"
  cp -r "$(go list -m -f '{{.Dir}}' github.com/prometheus/alertmanager)" "$copy"
  chmod -R u+w "$copy"
  mkdir -p "$copy/ui/app/dist"
  echo '<!doctype html>' >"$copy/ui/app/dist/index.html"
  (cd "$copy" && go build -trimpath -ldflags "-s -w -X github.com/prometheus/common/version.Version=${version#v}" \
    -o "$out/alertmanager" ./cmd/alertmanager) >"$out/.build.log" 2>&1 || { tail -n 40 "$out/.build.log" >&2; exit 1; }
  rm -rf "$copy"
  say "  alertmanager: done in $((SECONDS - start)) s"
}

# watch NAME START TOTAL LOG: a line every 20 seconds while the compiler is silent.
watch() {
  while sleep 20; do
    say "  $1: $(wc -l <"$4" | tr -d ' ') of up to $3 packages compiled, $((SECONDS - $2)) s"
  done
}

build() {
  local name=$1 package=$2 start=$SECONDS total log watcher status=0
  log=$out/.build.log
  : >"$log"
  total=$(go list -deps "$package" 2>>"$log" | wc -l | tr -d ' ') || { cat "$log" >&2; exit 1; }
  say "building $name ($package)"
  watch "$name" "$start" "$total" "$log" 9>&- &
  watcher=$!
  go build -v -trimpath -ldflags "-s -w \
    -X k8s.io/component-base/version.gitVersion=$kubernetes \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=$minor" -o "$out/$name" "$package" 2>>"$log" || status=$?
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
  if [ "$status" -ne 0 ]; then
    say "$name did not build:"
    tail -n 40 "$log" >&2
    exit "$status"
  fi
  say "  $name: done in $((SECONDS - start)) s"
}

say "building Kubernetes $kubernetes and its tools from Go modules into target/controlplane"
say "the first build takes 8 to 12 minutes on two cores and 3 GB of disk; it is done once"
rm -f "$out/.stamp"
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  say "etcd, kube-apiserver and kubectl come from KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS"
  for program in etcd kube-apiserver kubectl; do
    [ -x "$KUBEBUILDER_ASSETS/$program" ] || { say "$KUBEBUILDER_ASSETS/$program is missing: unset KUBEBUILDER_ASSETS to build it"; exit 1; }
    ln -sf "$KUBEBUILDER_ASSETS/$program" "$out/$program"
  done
else
  rm -f "$out/etcd" "$out/kube-apiserver" "$out/kubectl"
  build etcd ./cmd/etcd
  build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
  build kubectl ./cmd/kubectl
fi
build helm helm.sh/helm/v4/cmd/helm
build kubeconform github.com/yannh/kubeconform/cmd/kubeconform
build amtool github.com/prometheus/alertmanager/cmd/amtool
alertmanager
build amoracle ./cmd/amoracle
go test -c -trimpath -o "$out/amtimelines" ./amtimelines
build controlplane ./cmd/controlplane
rm -f "$out/.build.log"
echo "$stamp" >"$out/.stamp"
say "done in $SECONDS s"
