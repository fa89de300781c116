# One image for each binary: docker build --target scheduler . and so on. They are those of a release (hack/tools/images): a test compares the two.
#
# What git knows and the build cannot ask it: --build-arg VERSION=v0.2.0 --build-arg COMMIT=$(git rev-parse HEAD) --build-arg DATE=2026-11-25T00:00:00Z
FROM --platform=$BUILDPLATFORM golang:1.26.11 AS build
ARG TARGETOS TARGETARCH VERSION COMMIT DATE
WORKDIR /src
COPY . .
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make build ${VERSION:+VERSION=$VERSION} ${COMMIT:+COMMIT=$COMMIT} ${DATE:+DATE=$DATE}

FROM scratch AS scheduler
COPY --from=build /src/bin/spillway-scheduler /spillway-scheduler
USER 65532
ENTRYPOINT ["/spillway-scheduler"]

# ECI is asked over HTTPS. The root certificates are in the binary; SSL_CERT_FILE names others.
FROM scratch AS controller
COPY --from=build /src/bin/spillway-controller /spillway-controller
USER 65532
ENTRYPOINT ["/spillway-controller"]

FROM scratch AS eci-simulator
COPY --from=build /src/bin/eci-simulator /eci-simulator
USER 65532
ENTRYPOINT ["/eci-simulator"]
