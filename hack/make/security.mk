# Known vulnerabilities.

VULN := $(BIN)/vuln
# The database, as the Go team publishes it in the module golang.org/x/vulndb: as old as the version in hack/tools/vuln/go.mod, and there without network.
# The newest one: make vuln VULNDB=https://vuln.go.dev
VULNDB ?= file://$(BIN)/vulndb

$(VULN): hack/tools/vuln/go.sum $(wildcard hack/tools/vuln/*.go hack/tools/vuln/*.txt)
	@cd hack/tools/vuln && $(GO_BUILD) -o $@ .

$(BIN)/vulndb/index/db.json: hack/tools/vuln/go.sum
	@rm -rf $(BIN)/vulndb
	@cd hack/tools/vuln && go run golang.org/x/vulndb/cmd/indexdb -out $(BIN)/vulndb -vulns "$$(go list -m -f '{{.Dir}}' golang.org/x/vulndb)/data/osv"

##@ Security

# By the Go that a release is built with, which has the fixes of the standard library.
.PHONY: vuln
vuln: $(VULN) $(BIN)/vulndb/index/db.json ## Look for known vulnerabilities that the binaries can reach (minutes); VULNDB=https://vuln.go.dev for the newest database.
	@echo "looking for known vulnerabilities in $(if $(filter file:%,$(VULNDB)),golang.org/x/vulndb $(call tools_version,vuln,golang.org/x/vulndb),$(VULNDB))"
	@GOTOOLCHAIN=$(RELEASE_GO) CGO_ENABLED=0 $(VULN) --db=$(VULNDB) ./cmd/...
