# The image of oauth-keeper: the program, linked statically, on a base without shell, package manager or C library.
# tests/image/build builds this very file with base images made from the machine it runs on; a release builds it with what
# the tags stand for on that day, by digest, and tells the digests (image.txt).
#
# The list of what is in the image reads Cargo.lock too, and names the packages of the build stage, whose glibc is linked
# into the program: the packages of the base alone are not half of it.
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
ARG BUILDKIT_SBOM_SCAN_STAGE=true
WORKDIR /src
# What goes in is listed in .dockerignore.
COPY . .
# The cache knows sources by their times, which another checkout may have made older: this program is compiled in any case.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    touch src/lib.rs src/main.rs \
 && host=$(rustc --print host-tuple) \
 && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --bin oauth-keeper --target "$host" \
    --message-format json-render-diagnostics > /tmp/messages.json \
 && install -D "target/$host/release/oauth-keeper" /out/oauth-keeper \
 && image/licenses /tmp/messages.json "$host" /out/licenses

# Certificates of authorities, time zones and a user: no library.
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="oauth-keeper" \
      org.opencontainers.image.description="A Kubernetes operator that keeps OAuth tokens fresh in Secrets" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out/oauth-keeper /usr/local/bin/oauth-keeper
COPY --from=build /out/licenses /usr/share/doc/oauth-keeper
# A number, so that the kubelet can see that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/oauth-keeper"]
CMD ["run"]
