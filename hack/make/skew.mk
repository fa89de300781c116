# Older clusters. Spillway is one binary for clusters of several minor versions (docs/versions.md); here it runs on the API server of each.

SKEW_VERSIONS := 1.34 1.35 1.36 1.37
VERSIONS ?= $(SKEW_VERSIONS)
ifneq ($(filter-out $(SKEW_VERSIONS),$(VERSIONS)),)
$(error VERSIONS="$(VERSIONS)" must be some of $(SKEW_VERSIONS))
endif
SKEW_SUITES := conformance conformance/ack skew

# envtest takes a directory with etcd and kube-apiserver.
$(BIN)/skew/%/etcd: $(BIN)/etcd
	@mkdir -p $(@D) && ln -sf ../../etcd $@

$(BIN)/skew/1.37/kube-apiserver: $(BIN)/kube-apiserver
	@mkdir -p $(@D) && ln -sf ../../kube-apiserver $@

$(BIN)/skew/%/kube-apiserver: hack/tools/kubernetes-%/go.sum
	@echo "building kube-apiserver $(call tools_version,kubernetes-$*,k8s.io/kubernetes) (minutes with a cold cache)"
	@cd hack/tools/kubernetes-$* && $(GO_BUILD) -ldflags "-s -w $(call k8s_stamp,$(call tools_version,kubernetes-$*,k8s.io/kubernetes))" \
		-o $@ k8s.io/kubernetes/cmd/kube-apiserver

# Without the race detector, and with the settings of GO_BUILD: the tests share their compiled packages with the binaries. A version that fails does not keep
# the others from being tested.
.PHONY: test-skew
test-skew: $(foreach v,$(VERSIONS),$(BIN)/skew/$(v)/etcd $(BIN)/skew/$(v)/kube-apiserver)
test-skew: $(addprefix $(BIN)/spillway-,scheduler controller) ## Run the conformance suite and the binaries on older API servers; VERSIONS="1.34 1.36" for some.
	@CGO_ENABLED=0 go test -trimpath -c -o $(BIN)/skew/ $(addprefix ./test/,$(SKEW_SUITES))
	@failed=""; for version in $(VERSIONS); do for suite in $(SKEW_SUITES); do \
		echo "== Kubernetes $$version: test/$$suite"; \
		(cd test/$$suite && KUBEBUILDER_ASSETS=$(BIN)/skew/$$version SPILLWAY_BIN=$(BIN) $(BIN)/skew/$$(basename $$suite).test -test.timeout 20m \
			-ginkgo.randomize-all $(if $(FOCUS),-ginkgo.focus "$(FOCUS)")) || failed="$$failed $$version:test/$$suite"; \
	done; done; if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi
