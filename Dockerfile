# One static binary and nothing else: no shell, no libraries. Public CA roots and time zones are in the binary.
FROM rust:1.95-slim AS build
ARG REVISION=unknown
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV LAGSCALE_REVISION=$REVISION
RUN make static && mkdir -p /out/licenses && cp LICENSE /out/licenses/ && cp "$(make -s static-path)" /out/lagscale
RUN make sbom && cp target/sbom/lagscale.cdx.json /out/

FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lagscale" \
      org.opencontainers.image.description="Scales Kafka consumers on Kubernetes by consumer-group lag" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision=$REVISION
COPY --from=build /out/licenses /licenses
COPY --from=build /out/lagscale.cdx.json /sbom/lagscale.cdx.json
COPY --from=build /out/lagscale /lagscale
USER 65532:65532
ENTRYPOINT ["/lagscale"]
