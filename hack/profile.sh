#!/usr/bin/env bash
# Profiles Spillway's scheduling loop in the cases fill and spill, as text: profile.sh <bin> <directory for the text>.
set -euo pipefail
bin=$1 docs=$2 nodes=5000
mkdir -p "$docs"
docs=$(realpath "$docs")
focus='Scheduler..ScheduleOne$|findNodesThatPassFilters.func|runRawScorePlugins|normalizeScores.func'
cd test/perf
for case in fill spill; do
  out=$bin/bench/profile-$case
  rm -rf "$out"
  mkdir -p "$out"
  echo "profiling $case at $nodes nodes"
  PATH=$bin:$PATH PERF_CASE=$case PERF_NODES=$nodes PERF_SCHEDULER=spillway PERF_RESULT=$out/result.json "$bin/perf.test" -test.run '^$' -test.bench . \
    -test.benchtime 1x -test.timeout 30m -data-items-dir "$out" -test.cpuprofile "$out/cpu" -test.memprofile "$out/mem" -test.memprofilerate 65536 >"$out/log" 2>&1
  {
    echo "# CPU of the scheduling loop, case $case, $nodes nodes, 5,000 pods: written by make bench-profile"
    go tool pprof -top -cum -nodecount=60 -focus "$focus" "$bin/perf.test" "$out/cpu" 2>/dev/null | grep -vE '^(File|Build ID|Time|Active|Dropped| +focus)' | cut -c1-160
  } >"$docs/$case-cpu.txt"
  {
    echo "# Bytes allocated by the scheduling loop, case $case, $nodes nodes, 5,000 pods: written by make bench-profile"
    go tool pprof -sample_index=alloc_space -top -cum -nodecount=60 -focus "$focus" "$bin/perf.test" "$out/mem" 2>/dev/null |
      grep -vE '^(File|Build ID|Time|Active|Dropped| +focus)' | cut -c1-160
  } >"$docs/$case-alloc.txt"
done
