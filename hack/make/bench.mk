# Speed: upstream's scheduler_perf, the stock scheduler and Spillway in turn. Never part of the tests.

BENCH_OUT := $(BIN)/bench
# scheduler_perf finds its own files by the path that the compiler records, so without -trimpath: all of Kubernetes is compiled once more.
define run_bench
	@echo "building the benchmark (minutes the first time)"
	@CGO_ENABLED=0 go test -c -o $(BIN)/perf.test ./test/perf
	@$(GO_BUILD) -o $(BIN)/bench-rounds ./test/perf/bench
	@cd test/perf && PATH=$(BIN):$$PATH $(BIN)/bench-rounds --binary=$(BIN)/perf.test --out=$(BENCH_OUT) $(if $(CASE),--cases=$(CASE)) $(1)
endef

##@ Measure

.PHONY: bench
bench: $(BIN)/etcd ## Compare the speed with the stock scheduler's, at 1,000 and 5,000 nodes (an hour or more), and write docs/performance.md; CASE=fill,spill for some.
	$(call run_bench,$(if $(CASE),,--doc=$(CURDIR)/docs/performance.md))

.PHONY: bench-quick
bench-quick: $(BIN)/etcd ## Compare two cases at 1,000 nodes, once: a few minutes.
	$(call run_bench,$(if $(CASE),,--cases=fill,spill) --nodes=1000 --rounds=1)
