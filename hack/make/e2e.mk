# The chart, installed by the real helm into a cluster that has nothing of Spillway, with both binaries run as the release says.

.PHONY: test-e2e
test-e2e: $(addprefix $(BIN)/,$(TOOLS) $(SPILLWAY) eci-provider local-cluster demo helm prometheus) ## Install, upgrade and uninstall the chart with helm, and run both binaries with the rights of the release.
	@if $(BIN)/local-cluster status $(BIN) >/dev/null 2>&1; then echo "a local cluster is running already; stop it first: make cluster-down" >&2; exit 1; fi
	@$(BIN)/local-cluster up $(BIN) --bare
	@status=0; LOCAL_CLUSTER=$(BIN)/cluster CGO_ENABLED=0 go test -trimpath -count 1 -v -timeout 20m ./test/e2e $(if $(FOCUS),-ginkgo.focus "$(FOCUS)") || status=$$?; \
	$(BIN)/local-cluster down $(BIN); exit $$status
