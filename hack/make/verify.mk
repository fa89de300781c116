# What must hold before a change lands: generated files are fresh, the code is formatted and linted, the modules are tidy.

LINT := $(BIN)/golangci-lint
# The settings of GO_BUILD: the linter needs every dependency compiled, and so shares them with the binaries.
LINT_ENV := CGO_ENABLED=0 GOFLAGS=-trimpath
# What the chart installs is what config/ has.
CHART_FILES := charts/spillway/files
CONTROLLER_GEN := $(BIN)/controller-gen

$(LINT): hack/tools/lint/go.sum
	@echo "building golangci-lint (a minute with a cold cache)"
	@cd hack/tools/lint && $(GO_BUILD) -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(CONTROLLER_GEN): hack/tools/codegen/go.sum
	@cd hack/tools/codegen && $(GO_BUILD) -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

##@ Develop

.PHONY: generate
generate: generate-docs $(CONTROLLER_GEN) ## Regenerate deepcopy functions, CRDs, the controller's roles and the files of the chart.
	@$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./apis/...
	@$(CONTROLLER_GEN) crd:maxDescLen=500 rbac:roleName=spillway-controller paths=./apis/... paths=./controllers/... \
		output:crd:artifacts:config=config/crd output:rbac:artifacts:config=config/rbac
	@rm -rf $(addprefix $(CHART_FILES)/,admission crds rbac scheduler) && mkdir -p $(addprefix $(CHART_FILES)/,admission crds rbac scheduler)
	@cp config/crd/*.yaml $(CHART_FILES)/crds/ && cp config/scheduler/config.yaml $(CHART_FILES)/scheduler/
	@cp config/admission/*.yaml $(CHART_FILES)/admission/
	@cp config/rbac/controller.yaml config/rbac/role.yaml config/rbac/scheduler.yaml $(CHART_FILES)/rbac/
	@go test ./pkg/metrics -run '^TestPage$$' -count=1 -update >/dev/null

.PHONY: fmt
fmt: $(LINT) ## Format the code.
	@$(LINT_ENV) $(LINT) fmt ./...

.PHONY: lint
lint: $(LINT) ## Lint the code and hold the import layers.
	@$(LINT_ENV) $(LINT) run --allow-parallel-runners ./...

.PHONY: verify-modules
verify-modules: ## Check that Spillway and the programs of the local cluster are built from the same versions, so that Kubernetes is compiled once.
	@$(LINT_ENV) go run ./hack/sharedversions go.mod hack/tools/kubernetes/go.mod

.PHONY: verify
verify: generate lint lint-chart verify-modules ## Regenerate and lint, then demand a clean tree.
	@go mod tidy
	@if [ -n "$$(git status --porcelain)" ]; then \
		echo "the tree is not clean after make generate and go mod tidy: commit what they changed" >&2; git status --short >&2; git diff | head -50 >&2; exit 1; \
	fi
