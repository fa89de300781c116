# Speed. Never part of the tests: nothing here asserts how fast it is.

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
bench: $(BIN)/etcd ## Compare the speed with the stock scheduler's, at 1,000 and 5,000 nodes (an hour or more), and write docs/performance.md; CASE=fill,spill for some of ungoverned, fill, spill, caps, shadow, wait, preempt, churn.
	$(call run_bench,$(if $(CASE),,--doc=$(CURDIR)/docs/performance.md))

.PHONY: bench-quick
bench-quick: $(BIN)/etcd ## Compare two cases at 1,000 nodes, once: a few minutes.
	$(call run_bench,$(if $(CASE),,--cases=fill,spill) --nodes=1000 --rounds=1)

.PHONY: bench-micro
bench-micro: ## Measure decide, compile, the ledger, PreFilter and Filter by themselves.
	@go test -run '^$$' -bench 'Decide|Compile|Governing|Sync|PreFilter$$|Filter|For$$' -benchmem ./pkg/placement ./pkg/ledger ./pkg/ecispec ./plugins/... | grep -E '^(Benchmark|pkg:|panic|FAIL|---)|_test\.go'

.PHONY: bench-growth
bench-growth: ## Measure what a pod costs by nodes, policies, bound and held pods (minutes), and write docs/growth.md.
	@mkdir -p $(BIN) docs/images
	@go test -run '^$$' -bench Growth -benchmem -benchtime 3000x -count 5 ./plugins/resourcepolicy >$(BIN)/growth.txt
	@go run ./test/perf/growth --docs=docs <$(BIN)/growth.txt

# The text of the profiles is kept, so that a change can be compared with what was.
.PHONY: bench-profile
bench-profile: $(BIN)/etcd ## Profile the scheduling loop in fill and spill at 5,000 nodes, and write docs/profiles.
	@CGO_ENABLED=0 go test -c -o $(BIN)/perf.test ./test/perf
	@hack/profile.sh $(BIN) docs/profiles

.PHONY: bench-controllers
bench-controllers: $(BIN)/etcd $(BIN)/kube-apiserver $(BIN)/spillway-controller ## Measure the controllers with 50,000 pods (a quarter of an hour), and write docs/controllers-at-scale.md; FLAGS="--pods=2000 --policies=20 --nodes=200" for less.
	@$(GO_BUILD) -ldflags "-s -w" -o $(BIN)/bench-controllers ./test/scale
	@$(BIN)/bench-controllers --bin=$(BIN) --out=$(BENCH_OUT) $(if $(FLAGS),$(FLAGS),--doc=docs/controllers-at-scale.md)
