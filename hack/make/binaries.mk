# Every binary that the local cluster and the tests run is built here, once, from Go modules. The versions are those of
# the go.mod files below hack/tools. Each tool has a module of its own, because their dependencies disagree, except that
# everything the local cluster runs is in hack/tools/kubernetes. Its dependencies have the versions of Spillway's own
# go.mod, so that Kubernetes is compiled once for all: `make verify-modules` checks them.

BIN ?= $(CURDIR)/bin
# Static binaries without symbol tables: they are started often and debugged never.
GO_BUILD = CGO_ENABLED=0 go build -trimpath

K8S_TOOLS := kube-apiserver kube-controller-manager kube-scheduler kubectl
TOOLS := etcd $(K8S_TOOLS) kwok
SPILLWAY := spillway-scheduler spillway-controller eci-simulator

tools_version = $(shell awk '$$1 == "$(2)" && $$2 ~ /^v/ {print $$2; exit} $$2 == "$(2)" && $$3 ~ /^v/ {print $$3; exit}' hack/tools/$(1)/go.mod)
K8S_VERSION := $(call tools_version,kubernetes,k8s.io/kubernetes)
HELM_K8S_VERSION := $(subst v0.,v1.,$(call tools_version,helm,k8s.io/client-go))
KWOK_VERSION := $(call tools_version,kubernetes,sigs.k8s.io/kwok)

# kubectl, helm and the aggregated discovery refuse a server whose version is not a release: both packages must be stamped.
k8s_stamp = $(foreach p,k8s.io/component-base/version k8s.io/client-go/pkg/version,\
	-X $(p).gitVersion=$(1) -X $(p).gitMajor=$(word 1,$(subst ., ,$(1:v%=%))) -X $(p).gitMinor=$(word 2,$(subst ., ,$(1:v%=%))) -X $(p).gitTreeState=clean)

$(BIN)/etcd: hack/tools/kubernetes/go.sum
	@echo "building etcd (about a minute with a cold cache)"
	@cd hack/tools/kubernetes && $(GO_BUILD) -ldflags "-s -w" -o $@ go.etcd.io/etcd/server/v3

$(addprefix $(BIN)/,$(K8S_TOOLS)): $(BIN)/%: hack/tools/kubernetes/go.sum
	@echo "building $* $(K8S_VERSION) (minutes with a cold cache)"
	@cd hack/tools/kubernetes && $(GO_BUILD) -ldflags "-s -w $(call k8s_stamp,$(K8S_VERSION))" -o $@ k8s.io/kubernetes/cmd/$*

$(BIN)/kwok: hack/tools/kubernetes/go.sum
	@echo "building kwok $(KWOK_VERSION)"
	@cd hack/tools/kubernetes && $(GO_BUILD) -ldflags "-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=$(KWOK_VERSION)" -o $@ sigs.k8s.io/kwok/cmd/kwok

# Without the discovery of every cloud, and without the web pages.
$(BIN)/prometheus $(BIN)/promtool: $(BIN)/%: hack/tools/prometheus/go.sum
	@echo "building $* (minutes with a cold cache)"
	@cd hack/tools/prometheus && $(GO_BUILD) -tags remove_all_sd -ldflags "-s -w" -o $@ github.com/prometheus/prometheus/cmd/$*

# Spillway's own binaries are rebuilt whenever a Go file changed; the compiler's cache makes that cheap.
GO_SOURCES := $(shell find apis cmd controllers pkg plugins test -name '*.go' -not -name '*_test.go' 2>/dev/null) go.mod go.sum

$(BIN)/spillway-%: $(GO_SOURCES)
	@echo "building spillway-$* (minutes with a cold cache)"
	@$(GO_BUILD) -ldflags "-s -w $(version_stamp) $(call k8s_stamp,$(K8S_VERSION))" -o $@ ./cmd/$*

$(BIN)/eci-simulator: $(GO_SOURCES)
	@echo "building eci-simulator"
	@$(GO_BUILD) -ldflags "-s -w $(version_stamp)" -o $@ ./cmd/eci-simulator

$(BIN)/local-cluster: $(GO_SOURCES)
	@echo "building the tool that runs the local cluster"
	@$(GO_BUILD) -ldflags "-s -w" -o $@ ./test/cluster

$(BIN)/eci-provider: $(GO_SOURCES)
	@echo "building the tool that plays the virtual-kubelet of ECI"
	@$(GO_BUILD) -ldflags "-s -w" -o $@ ./test/provider/eci-provider

$(BIN)/demo: $(GO_SOURCES)
	@echo "building the demo"
	@$(GO_BUILD) -ldflags "-s -w" -o $@ ./test/demo
