# `make` prints what there is to do. The recipes are in hack/make/*.mk, one file for each subject.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

include hack/make/binaries.mk hack/make/test.mk hack/make/e2e.mk hack/make/skew.mk hack/make/bench.mk hack/make/replay.mk hack/make/verify.mk hack/make/chart.mk hack/make/docs.mk hack/make/release.mk hack/make/security.mk

##@ Use

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: $(addprefix $(BIN)/,$(SPILLWAY) kubectl-spillway) ## Build Spillway's binaries into bin/.

.PHONY: cluster-up
cluster-up: $(addprefix $(BIN)/,$(TOOLS) $(SPILLWAY) kubectl-spillway eci-provider local-cluster) ## Start an empty local cluster with Spillway; it runs until cluster-down.
	@$(BIN)/local-cluster up $(BIN)

.PHONY: cluster-down
cluster-down: $(BIN)/local-cluster ## Stop the local cluster.
	@$(BIN)/local-cluster down $(BIN)

.PHONY: cluster-status
cluster-status: $(BIN)/local-cluster ## Tell which parts of the local cluster run.
	@$(BIN)/local-cluster status $(BIN)

.PHONY: demo
demo: $(addprefix $(BIN)/,$(TOOLS) $(SPILLWAY) eci-provider local-cluster demo) ## Show on a local cluster what Spillway does; KEEP=1 leaves the cluster running.
	@if $(BIN)/local-cluster status $(BIN) >/dev/null 2>&1; then echo "a local cluster is running already; stop it first: make cluster-down" >&2; exit 1; fi
	@$(BIN)/local-cluster up $(BIN)
	@status=0; $(BIN)/demo $(BIN)/cluster/kubeconfig || status=$$?; \
	if [ -z "$(KEEP)" ]; then $(BIN)/local-cluster down $(BIN); fi; exit $$status
