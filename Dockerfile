# syntax=docker/dockerfile:1

# The release of Rust is that of rust-version in Cargo.toml, the release of Debian that of the image
# below, so that the program finds the libc it was linked with.
FROM rust:1.95-slim-trixie AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY assets assets
COPY crates crates
# The caches stay with the builder, so dependencies are compiled once. Cargo goes by the times of files,
# and ours may be older than what the cache has of another checkout: so they are made new.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    find assets crates -type f -exec touch {} + \
    && cargo build --release --locked -p spinelift-mesh-cli --bin spinelift-mesh \
    && install -D -m 0755 target/release/spinelift-mesh /image/spinelift-mesh \
    && install -d /image/data

# libc, libgcc, certificates and time zones: no shell and no package manager.
FROM gcr.io/distroless/cc-debian13:nonroot
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="spinelift-mesh" \
    org.opencontainers.image.description="Turns sprite images into 2D meshes: service and command" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/spinelift-mesh /usr/local/bin/spinelift-mesh
COPY --from=build --chown=65532:65532 /image/data /data
# The only place that is written to: everything else may be read-only.
VOLUME /data
WORKDIR /data
ENV HOST=0.0.0.0 \
    PORT=8000 \
    STORAGE_PATH=/data/storage \
    DATABASE_PATH=/data/jobs.db
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8000
# Whether the process is alive: one that waits for its storage must not be restarted for that.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/spinelift-mesh", "health", "--live"]
ENTRYPOINT ["/usr/local/bin/spinelift-mesh"]
CMD ["serve"]
