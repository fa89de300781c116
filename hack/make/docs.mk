# The pages. make generate writes docs/api.md; make test-docs does what the pages say.

CRD_REF_DOCS := $(BIN)/crd-ref-docs

$(CRD_REF_DOCS): hack/tools/docs/go.sum
	@cd hack/tools/docs && $(GO_BUILD) -ldflags "-s -w" -o $@ github.com/elastic/crd-ref-docs

##@ Docs

.PHONY: generate-docs
generate-docs: $(CRD_REF_DOCS) ## Regenerate the reference of the API, docs/api.md.
	@$(CRD_REF_DOCS) --log-level=WARN --source-path=apis --config=hack/api-docs/config.yaml --templates-dir=hack/api-docs/templates \
		--renderer=markdown --output-path=docs/api.md

.PHONY: test-docs
test-docs: $(addprefix $(BIN)/,$(TOOLS) $(SPILLWAY) kubectl-spillway eci-provider local-cluster helm) ## Run every command of the pages on local clusters; PAGE=docs/quick-start.md for one page.
	@if $(BIN)/local-cluster status $(BIN) >/dev/null 2>&1; then echo "a local cluster is running already; stop it first: make cluster-down" >&2; exit 1; fi
	@$(GO_BUILD) -ldflags "-s -w" -o $(BIN)/run-docs ./test/docs/run
	@$(BIN)/run-docs --bin=$(BIN) $(if $(PAGE),--page=$(PAGE))
