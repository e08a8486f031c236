# The controller's image: one static binary and nothing else, so no shell, no package and no user database.
# `cargo xtask image` compiles the binary and calls this; no stage needs a registry.
FROM scratch

# amd64 or arm64, as the builder names it.
ARG TARGETARCH
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="windlass" \
      org.opencontainers.image.description="Rolls Kubernetes workloads when a ConfigMap or Secret that they use changes" \
      org.opencontainers.image.source="https://github.com/windlass-dev/windlass" \
      org.opencontainers.image.documentation="https://github.com/windlass-dev/windlass/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The Windlass authors" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --chmod=0555 windlass-${TARGETARCH} /windlass

# By number: runAsNonRoot can be checked without a user database. 65532 is what others call "nonroot".
USER 65532:65532
ENTRYPOINT ["/windlass"]
CMD ["controller"]
