# Two images from one build: `docker build --target webhook .` and `docker build --target controller .`
# They hold Node and the bundle, no package manager, and the webhook's nothing else. The controller's has git and ssh too, and the shell with which git starts ssh.
# The kubelet probes /healthz and /readyz.

FROM node:24-trixie-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-fund --no-audit
COPY tools ./tools
COPY shared ./shared
COPY webhook ./webhook
COPY controller ./controller
ARG KOLLECT_COMMIT=unknown
ARG KOLLECT_BUILT=unknown
RUN npm run build
RUN mkdir -p /image && cp --parents --dereference "$(command -v node)" $(ldd "$(command -v node)" | grep -o '/[^ )]*') /image

# Programs of git that exports start, with the libraries that they are linked to, the authorities of the system, and a user, without whom ssh does not run.
FROM node:24-trixie-slim AS git
RUN apt-get update && apt-get install -y --no-install-recommends git openssh-client ca-certificates
RUN mkdir -p /image/etc && for program in /bin/sh /usr/bin/git /usr/bin/ssh /usr/lib/git-core/git-remote-http /usr/lib/git-core/git-remote-https; do \
    cp --parents --dereference "$program" $(ldd "$program" | grep -o '/[^ )]*') /image; done
RUN cp --parents --dereference /etc/ssl/certs/ca-certificates.crt /image && echo 'kollect:x:65532:65532::/nonexistent:/bin/false' > /image/etc/passwd && mkdir -m 1777 /image/tmp

FROM scratch AS runtime
# Node and the libraries it is linked to.
COPY --from=build /image /
WORKDIR /app
ENV NODE_ENV=production
# The bundles are ES modules.
COPY --from=build /src/package.json ./
USER 65532:65532

FROM runtime AS webhook
COPY --from=build /src/dist/webhook*.js ./dist/
EXPOSE 9443 8081
# It allocates on one thread; heaps of malloc for the others are 3 MB that nobody uses.
ENV MALLOC_ARENA_MAX=1
# As for the controller below.
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=8", "dist/webhook.js"]

FROM runtime AS controller
COPY --from=git /image /
COPY --from=build /src/dist/controller*.js ./dist/
EXPOSE 8081 8443
# A smaller young generation keeps a third less memory and costs no measurable time.
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=16", "dist/controller.js"]
