# A trace of pods, its time compressed, under the stock scheduler and under Spillway. Never part of the tests: the trace is not in this repository. In the
# list of `make help` it follows what bench.mk has.

.PHONY: replay
replay: replay-trace-given $(addprefix $(BIN)/,etcd kube-apiserver kube-scheduler spillway-scheduler) ## Replay TRACE=pods.csv NODES=nodes.csv under stock and Spillway; DOC=1 writes docs/replay.md; PODS, DURATION, ROUNDS, FACTOR.
	@$(GO_BUILD) -o $(BIN)/replay-trace ./test/replay
	@$(BIN)/replay-trace --trace=$(TRACE) --nodes=$(NODES) --bin=$(BIN) --out=$(BIN)/replay $(if $(DOC),--docs=docs) \
		$(if $(PODS),--pods=$(PODS)) $(if $(DURATION),--duration=$(DURATION)) $(if $(ROUNDS),--rounds=$(ROUNDS)) $(if $(FACTOR),--factor=$(FACTOR))

# Before anything is built.
.PHONY: replay-trace-given
replay-trace-given:
	@if [ -z "$(TRACE)" ] || [ -z "$(NODES)" ]; then \
		echo 'TRACE="$(TRACE)" NODES="$(NODES)": both must name a CSV file, of pods and of nodes; test/replay/trace.go has their columns' >&2; exit 1; fi
	@for file in "$(TRACE)" "$(NODES)"; do if [ ! -r "$$file" ]; then echo "TRACE and NODES: $$file cannot be read" >&2; exit 1; fi; done
