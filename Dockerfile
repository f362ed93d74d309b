# The image of Fanfare: one binary on a distroless base. It has no shell and no package manager, runs as user 65532 and
# writes nowhere but to --data-dir, so the root file system may be read-only.
#
#   docker build --tag fanfare .
#   docker run --rm --read-only --publish 9093:9093 --volume "$PWD/examples/quickstart:/manifests:ro" fanfare run --manifests /manifests

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
# jemalloc must know the largest page a kernel may have: 64 KiB on arm64. Smaller ones do no harm.
ENV JEMALLOC_SYS_WITH_LG_PAGE=16

# Dependencies first: they are compiled again only when Cargo.lock changes. Cargo wants every target's file to exist.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches tests/it \
    && benches=$(sed -n '/^\[\[bench\]\]/{n;s|name = "\(.*\)"|benches/\1.rs|p}' Cargo.toml) \
    && echo 'fn main() {}' | tee src/main.rs $benches tests/it/main.rs >/dev/null \
    && touch src/lib.rs \
    && cargo build --release --locked --bin fanfare

COPY src src
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked --bin fanfare \
    && ./target/release/fanfare version

# The licences of everything that is linked in, by crate.
COPY LICENSE /licenses/LICENSE
RUN set -eu; \
    for crate in $(cargo tree --locked --edges normal --prefix none --format '{p}' | awk 'NF == 2 { sub(/^v/, "", $2); print $1 "-" $2 }' | sort -u); do \
        found=$(find "$CARGO_HOME"/registry/src/*/"$crate" -maxdepth 1 -type f \( -iname 'license*' -o -iname 'copying*' -o -iname 'notice*' \)); \
        [ -z "$found" ] || { mkdir -p "/licenses/crates/$crate"; cp $found "/licenses/crates/$crate/"; }; \
    done

# Brings glibc, a CA bundle, /etc/passwd and time zones. Same Debian release as the build, so the same glibc.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="fanfare" \
      org.opencontainers.image.description="A Kubernetes operator that delivers every alert to every healthy target" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /licenses /licenses
COPY --from=build /src/target/release/fanfare /usr/local/bin/fanfare
USER 65532:65532
# Intake, API (loopback unless told otherwise), admin.
EXPOSE 9093 9094 8080
ENTRYPOINT ["/usr/local/bin/fanfare"]
CMD ["run"]
