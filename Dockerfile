# One image for each binary: docker build --target scheduler . and docker build --target controller .
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
RUN make build

FROM scratch AS scheduler
COPY --from=build /src/bin/spillway-scheduler /spillway-scheduler
USER 65532
ENTRYPOINT ["/spillway-scheduler"]

FROM scratch AS controller
# ECI is asked over HTTPS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/bin/spillway-controller /spillway-controller
USER 65532
ENTRYPOINT ["/spillway-controller"]
