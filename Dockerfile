# The sidecar, with the native transcoder compiled. No MongoDB in it: set MONGODB_URI.
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# A container without the native transcoder would cost ten times the CPU: better no image than that one.
ENV OTLP_MONGO_BUILD_REQUIRE_NATIVE=1
RUN python -m venv /opt/otlp-mongo && /opt/otlp-mongo/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.13-slim
COPY --from=build /opt/otlp-mongo /opt/otlp-mongo
RUN useradd --system --uid 10001 otlp-mongo && install -d -o otlp-mongo /var/lib/otlp-mongo
USER otlp-mongo
ENV PATH=/opt/otlp-mongo/bin:$PATH \
    OTLP_MONGO_GRPC_ENDPOINT=0.0.0.0:4317 \
    OTLP_MONGO_HTTP_ENDPOINT=0.0.0.0:4318 \
    OTLP_MONGO_DATA_DIR=/var/lib/otlp-mongo
VOLUME /var/lib/otlp-mongo
EXPOSE 4317 4318
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["otlp-mongo", "healthcheck"]
ENTRYPOINT ["otlp-mongo"]
CMD ["serve"]
