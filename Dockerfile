# The first stage has Bun, the sources and their dependencies; the second has libc and one file.
FROM oven/bun:1.4.5-debian AS build
WORKDIR /build
# The manifests come first: dependencies are installed again only when these change.
COPY package.json bun.lock LICENSE ./
RUN bun install --frozen-lockfile --production
COPY tsconfig.json ./
COPY scripts ./scripts
COPY drizzle ./drizzle
COPY src ./src
# There is no repository in here to ask, so the commit is told. It comes last, since it changes every time.
ARG BUILD_COMMIT=unknown
RUN bun scripts/build.ts --outfile=/quota-proxy
RUN bun scripts/release/licences.ts --notices=/THIRD_PARTY_NOTICES

# Root certificates are inside the binary; glibc is all that it needs from its base.
FROM debian:bookworm-20260824-slim
LABEL org.opencontainers.image.title="quota-proxy" \
      org.opencontainers.image.description="Hand out API keys with hard quotas in front of any HTTP API." \
      org.opencontainers.image.licenses="MIT"
# A new volume takes owner and mode from here, so nobody has to chown anything before the first start.
RUN install --directory --mode=0700 --owner=65532 --group=65532 /data
COPY --from=build /quota-proxy /usr/local/bin/quota-proxy
COPY --from=build /THIRD_PARTY_NOTICES /build/LICENSE /usr/share/doc/quota-proxy/

# Loopback would be the container's own: nothing outside could reach it.
ENV HOST=0.0.0.0 \
    DATA_DIR=/data
# A number, so that an orchestrator can tell that it is not root.
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/usr/local/bin/quota-proxy", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/quota-proxy"]
CMD ["serve"]
