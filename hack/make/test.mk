# Tests. Unit tests need nothing; the conformance suite needs etcd and kube-apiserver, which are built here.

##@ Test

.PHONY: test
test: test-unit test-conformance ## Run every test, under the race detector.

.PHONY: test-unit
test-unit: ## Run the tests of single packages.
	@echo "unit tests (the first run compiles Kubernetes with the race detector: minutes with a cold cache)"
	@CGO_ENABLED=1 go test -race -timeout 15m $(shell go list ./... | grep -v /test/conformance)

.PHONY: test-conformance
test-conformance: $(BIN)/etcd $(BIN)/kube-apiserver ## Run the Ginkgo suite: the real scheduler and controllers on a real API server.
	@echo "conformance tests (the first run compiles the scheduler with the race detector: minutes with a cold cache)"
	@KUBEBUILDER_ASSETS=$(BIN) CGO_ENABLED=1 go test -race -timeout 20m -p 1 ./test/conformance ./test/conformance/ack -ginkgo.randomize-all $(if $(FOCUS),-ginkgo.focus "$(FOCUS)")

.PHONY: test-fuzz
test-fuzz: ## Run every fuzz target for FUZZTIME (10s).
	@for package in $$(grep -rl --include='*_test.go' '^func Fuzz' pkg | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z]+' $$package | cut -c6-); do \
			go test ./$$package -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),10s); \
		done; \
	done
