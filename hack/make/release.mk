# Releases. docs/releasing.md tells how one is made. Nothing here pushes anything: .github/workflows/release.yaml does.

GORELEASER := $(BIN)/goreleaser
CYCLONEDX_GOMOD := $(BIN)/cyclonedx-gomod
KREW := $(BIN)/krew
VALIDATE_KREW := $(BIN)/validate-krew-manifest
ACTIONLINT := $(BIN)/actionlint
CRANE := $(BIN)/crane

# A tag on the commit is the version. What is built between releases is the next one's -dev. What is built without git, as in the Dockerfile, gets all three.
VERSION ?= $(shell git describe --exact-match --tags --match 'v*' HEAD 2>/dev/null || awk '$$1 == "appVersion:" {print "v" $$2 "-dev"}' charts/spillway/Chart.yaml)
COMMIT ?= $(shell git describe --always --abbrev=40 --dirty --exclude "*" 2>/dev/null)
# That of the commit: a build has no time of its own, so that it can be repeated.
DATE ?= $(shell TZ=UTC git show -s --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ HEAD 2>/dev/null)
VERSION_PACKAGE := github.com/spillway-k8s/spillway/pkg/version
version_stamp = -X $(VERSION_PACKAGE).version=$(VERSION) -X $(VERSION_PACKAGE).commit=$(COMMIT) -X $(VERSION_PACKAGE).date=$(DATE)

# The Go of a release: that of the Dockerfile and the workflows, too. It has the fixes of the standard library that `make vuln` asks for.
RELEASE_GO := go1.26.11

DIST := bin/dist
RELEASE_CHART := bin/release-chart

$(GORELEASER): hack/tools/release/go.sum
	@echo "building goreleaser (minutes with a cold cache)"
	@cd hack/tools/release && $(GO_BUILD) -ldflags "-s -w" -o $@ github.com/goreleaser/goreleaser/v2

$(CRANE): hack/tools/images/go.sum
	@cd hack/tools/images && $(GO_BUILD) -ldflags "-s -w" -o $@ github.com/google/go-containerregistry/cmd/crane

$(CYCLONEDX_GOMOD): hack/tools/sbom/go.sum
	@cd hack/tools/sbom && $(GO_BUILD) -ldflags "-s -w" -o $@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

$(KREW) $(VALIDATE_KREW): $(BIN)/%: hack/tools/krew/go.sum
	@cd hack/tools/krew && $(GO_BUILD) -ldflags "-s -w" -o $@ sigs.k8s.io/krew/cmd/$*

$(ACTIONLINT): hack/tools/actionlint/go.sum
	@cd hack/tools/actionlint && $(GO_BUILD) -ldflags "-s -w" -o $@ github.com/rhysd/actionlint/cmd/actionlint

$(BIN)/kubectl-spillway: $(GO_SOURCES)
	@echo "building kubectl-spillway"
	@$(GO_BUILD) -ldflags "-s -w $(version_stamp)" -o $@ ./cmd/kubectl-spillway

##@ Release

.PHONY: verify-release
verify-release: $(ACTIONLINT) ## Lint the workflows, test the tools of a release, and compare Dockerfile, workflows and release (a minute with a cold cache).
	@$(ACTIONLINT) -shellcheck= -pyflakes=
	@for module in images vuln; do (cd hack/tools/$$module && $(LINT_ENV) go test ./...); done

# Everything of a release but its publication. It needs no network once the modules are in go's cache.
.PHONY: release-dry-run
release-dry-run: release-artifacts release-check ## Make everything of a release below bin/dist, and check it; nothing is published.

.PHONY: release-artifacts
release-artifacts: $(GORELEASER) $(CYCLONEDX_GOMOD) release-chart
	@echo "building $(VERSION) for each platform (the first build for another architecture compiles Kubernetes once more: minutes)"
	@$(goreleaser)
	@cp $(RELEASE_CHART)/*.tgz $(DIST)/
	@$(MAKE) --no-print-directory release-images

# A snapshot in releases, too: goreleaser publishes nothing, and the workflow publishes what has been checked.
goreleaser = RELEASE_NUMBER="$(VERSION:v%=%)" RELEASE_LDFLAGS="$(version_stamp)" KUBERNETES_LDFLAGS="$(call k8s_stamp,$(K8S_VERSION))" \
	PATH="$(BIN):$$PATH" $(GORELEASER) release --snapshot --clean --parallelism 2

# A release has one version: that of the tag, the chart and the changelog.
.PHONY: release-version-check
release-version-check: ## Check that the commit's tag, the chart and CHANGELOG.md have the same version.
	@app="$$(awk '$$1 == "appVersion:" {print $$2}' charts/spillway/Chart.yaml)"; chart="$$(awk '$$1 == "version:" {print $$2}' charts/spillway/Chart.yaml)"; \
	if [ "$(VERSION)" != "v$$app" ] || [ "$$app" != "$$chart" ]; then \
		echo "the commit has the version $(VERSION), and charts/spillway/Chart.yaml version $$chart and appVersion $$app: all three must be one" >&2; exit 1; fi; \
	if ! grep -q "^## $$app" CHANGELOG.md; then echo "CHANGELOG.md has no heading '## $$app'" >&2; exit 1; fi

.PHONY: release-chart
release-chart: $(BIN)/helm
	@rm -rf $(RELEASE_CHART) && mkdir -p $(RELEASE_CHART)
	@$(BIN)/helm package charts/spillway --version "$(VERSION:v%=%)" --app-version "$(VERSION:v%=%)" --destination $(RELEASE_CHART) >/dev/null

.PHONY: release-images
release-images:
	@cd hack/tools/images && go run -trimpath . --dist=$(CURDIR)/$(DIST) --version="$(VERSION)" --commit="$(COMMIT)" --date="$(DATE)"

# Never from go's cache of results, which does not know what it looks at.
.PHONY: release-check
release-check: $(CRANE) $(KREW) $(VALIDATE_KREW) $(BIN)/helm
	@cd hack/tools/images && SPILLWAY_DIST=$(CURDIR)/$(DIST) SPILLWAY_BIN=$(BIN) SPILLWAY_VERSION="$(VERSION)" SPILLWAY_LDFLAGS="-s -w $(version_stamp)" \
		K8S_VERSION="$(K8S_VERSION)" go test -trimpath -count 1 ./...
