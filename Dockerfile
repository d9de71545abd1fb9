FROM rust:1.95-slim AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin lagscale

FROM debian:stable-slim
# The system's roots, for brokers with a public certificate.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/lagscale /usr/local/bin/lagscale
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/lagscale"]
