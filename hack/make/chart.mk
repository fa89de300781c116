# The Helm chart: its generated files, its tests, and the tools for them.

CHART := charts/spillway
CHART_MINORS := 34 35 36 37
CHART_SCHEMAS := $(BIN)/chart-schemas
# Where the files of a module are, of which a tool is built.
module_dir = $$(cd $(1) && go mod download -json $(2) | awk -F '"' '$$2 == "Dir" {print $$4}')

kubeconform = $(BIN)/kubeconform -strict -schema-location "$(CHART_SCHEMAS)/$(1)/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json" \
	-schema-location "$(CHART_SCHEMAS)/crds/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"

$(BIN)/helm: hack/tools/helm/go.sum
	@echo "building helm (a minute with a cold cache)"
	@cd hack/tools/helm && $(GO_BUILD) -ldflags "-s -w $(call k8s_stamp,$(HELM_K8S_VERSION))" -o $@ helm.sh/helm/v4/cmd/helm

$(BIN)/helm-docs: hack/tools/chart-docs/go.sum
	@echo "building helm-docs"
	@cd hack/tools/chart-docs && $(GO_BUILD) -ldflags "-s -w" -o $@ github.com/norwoodj/helm-docs/cmd/helm-docs

$(BIN)/helm-unittest: hack/tools/chart-unittest/go.sum
	@echo "building helm-unittest (a minute or two with a cold cache)"
	@cd hack/tools/chart-unittest && $(GO_BUILD) -ldflags "-s -w" -o $@ github.com/helm-unittest/helm-unittest/cmd/helm-unittest

$(BIN)/kubeconform: hack/tools/chart-conform/go.sum
	@echo "building kubeconform"
	@cd hack/tools/chart-conform && $(GO_BUILD) -ldflags "-s -w" -o $@ github.com/yannh/kubeconform/cmd/kubeconform

# The schemas that the rendered chart is validated with: those of each minor version, of the Prometheus operator, and our own.
$(CHART_SCHEMAS): hack/tools/chart-conform/go.sum $(wildcard hack/tools/kubernetes*/go.sum config/crd/*.yaml test/helmschemas/*.go)
	@echo "reading the schemas of Kubernetes"
	@rm -rf $@.new $@ && $(GO_BUILD) -o $(BIN)/helmschemas ./test/helmschemas
	@for minor in $(CHART_MINORS); do \
		tool=hack/tools/kubernetes-1.$$minor; [ -d $$tool ] || tool=hack/tools/kubernetes; \
		$(BIN)/helmschemas --out=$@.new/1.$$minor $(call module_dir,$$tool,k8s.io/kubernetes)/api/openapi-spec/swagger.json; \
	done
	@$(BIN)/helmschemas --out=$@.new/crds config/crd/*.yaml \
		$(call module_dir,hack/tools/chart-conform,github.com/prometheus-operator/prometheus-operator)/example/prometheus-operator-crd/*.yaml
	@mv $@.new $@

generate: generate-chart-docs

.PHONY: generate-chart-docs
generate-chart-docs: $(BIN)/helm-docs
	@$(BIN)/helm-docs --log-level=warning --chart-search-root=charts --sort-values-order=file

.PHONY: lint-chart
lint-chart: $(BIN)/helm ## Lint the Helm chart.
	@for values in $(CHART)/ci/*-values.yaml; do $(BIN)/helm lint --quiet --strict $(CHART) --values $$values; done

.PHONY: test-chart
test-chart: $(BIN)/helm $(BIN)/helm-unittest $(BIN)/kubeconform $(CHART_SCHEMAS) ## Test the templates of the chart, and validate what it renders for each version of Kubernetes.
	@$(BIN)/helm-unittest --strict $(CHART)
	@for minor in $(CHART_MINORS); do for values in $(CHART)/ci/*-values.yaml; do \
		$(BIN)/helm template spillway $(CHART) --namespace spillway-system --values $$values --kube-version 1.$$minor.0 \
			--api-versions admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy \
		| $(call kubeconform,1.$$minor) || { echo "$$values is not valid on Kubernetes 1.$$minor" >&2; exit 1; }; \
	done; done
	@$(call kubeconform,1.37) config/samples config/rbac config/crd config/admission
