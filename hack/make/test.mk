# Tests. Unit tests need nothing; the conformance suite needs etcd and kube-apiserver, which are built here.

##@ Test

.PHONY: test
test: test-unit test-chart test-monitoring test-conformance test-equivalence test-load test-eci test-e2e test-docs ## Run every test but test-skew and test-fuzz: those of packages and the conformance suite under the race detector, the comparison with kube-scheduler, the load tests in their short form, the scripts of ECI, the chart and the pages.

.PHONY: test-unit
test-unit: ## Run the tests of single packages.
	@echo "unit tests (the first run compiles Kubernetes with the race detector: minutes with a cold cache)"
	@CGO_ENABLED=1 go test -race -timeout 15m $(shell go list ./... | grep -vE '/test/(conformance|equivalence|load|eci|e2e|perf|skew)$$|/test/conformance/')

.PHONY: test-conformance
test-conformance: $(BIN)/etcd $(BIN)/kube-apiserver ## Run the Ginkgo suite: the real scheduler and controllers on a real API server.
	@echo "conformance tests (the first run compiles the scheduler with the race detector: minutes with a cold cache)"
	@KUBEBUILDER_ASSETS=$(BIN) CGO_ENABLED=1 go test -race -timeout 20m -p 1 ./test/conformance ./test/conformance/ack -ginkgo.randomize-all $(if $(FOCUS),-ginkgo.focus "$(FOCUS)")

# Without the race detector: it plays one pod at a time.
.PHONY: test-equivalence
test-equivalence: $(BIN)/etcd $(BIN)/kube-apiserver ## Play random scenes with kube-scheduler and with a policy that changes nothing, and compare; SEEDS=n for more than 100, SEED=n for one.
	@echo "comparison with kube-scheduler (100 scenes: a few minutes)"
	@KUBEBUILDER_ASSETS=$(BIN) EQUIVALENCE_SEEDS=$(SEEDS) EQUIVALENCE_SEED=$(SEED) CGO_ENABLED=0 go test -trimpath -count 1 $(if $(SEED),-v) -timeout 60m ./test/equivalence

# Without the race detector, and with the settings of GO_BUILD: the test shares its compiled packages with the binaries. Never from go's cache of results,
# which does not know the binaries that are run.
.PHONY: test-load
test-load: $(BIN)/etcd $(BIN)/kube-apiserver $(BIN)/spillway-scheduler ## Order, kills and preemption at scale; LONG=1 for the long form, SEED=n to repeat a run (test/load/suite_test.go).
	@echo "load tests ($(if $(LONG),the long form: a quarter of an hour or more,the short form: a minute or two))"
	@KUBEBUILDER_ASSETS=$(BIN) LOAD_LONG=$(LONG) CGO_ENABLED=0 go test -trimpath -count 1 -v -timeout $(if $(LONG),90m,20m) ./test/load \
		$(if $(SEED),-ginkgo.seed $(SEED)) $(if $(FOCUS),-ginkgo.focus "$(FOCUS)")

# It reads ECI more often than by default, so that the test does not wait for it.
.PHONY: test-eci
test-eci: $(addprefix $(BIN)/,$(TOOLS) $(SPILLWAY) eci-provider local-cluster) ## Scripts on a local cluster in which ECI has less than pods want, or does not answer.
	@if $(BIN)/local-cluster status $(BIN) >/dev/null 2>&1; then echo "a local cluster is running already; stop it first: make cluster-down" >&2; exit 1; fi
	@$(BIN)/local-cluster up $(BIN) --refresh-interval=1s --stock-interval=5s --max-capacity-age=6s
	@status=0; LOCAL_CLUSTER=$(BIN)/cluster CGO_ENABLED=0 go test -trimpath -count 1 -v -timeout 30m ./test/eci $(if $(FOCUS),-ginkgo.focus "$(FOCUS)") || status=$$?; \
	$(BIN)/local-cluster down $(BIN); exit $$status

# promtool alone: the dashboard and the runbook are compared with them by the unit tests, and both are loaded into a Prometheus by test-e2e.
.PHONY: test-monitoring
test-monitoring: $(BIN)/promtool ## Check the alerts, and make each of them fire and not fire.
	@$(BIN)/promtool check rules charts/spillway/files/alerts/spillway.yaml
	@cd test/monitoring && $(BIN)/promtool test rules rules_test.yaml

.PHONY: test-fuzz
test-fuzz: ## Run every fuzz target for FUZZTIME (10s).
	@for package in $$(grep -rl --include='*_test.go' '^func Fuzz' apis pkg | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z]+' $$package | cut -c6-); do \
			go test ./$$package -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),10s); \
		done; \
	done
