#!/usr/bin/env python3
"""table.py LINES BENCH.JSON - rows of all benchmarks as JSON and as a table,
with the bounds that the design sets, and whether they are met.

A bound is what was set out to be built, not a promise for any machine: a number
beyond it fails nothing.
"""
import json
import re
import sys

# Names (whole), which column counts, how much it may be at most, or at least
# when negative.
BOUNDS = [
    (r"pipeline_1_KiB_cpu", "value", 4),            # CPU-s/GiB
    (r"pipeline_1_KiB_cpu_tail", "value", 0.5),
    (r"tail_route_1k", "value", -2),                # GB/s
    (r"queue_(append|read)_(1k|256k)", "value", -1000),     # MB/s
    (r"queue_recovery_10gib", "value", 1),          # s
    (r"lag_\d+_(p50|p99)", "ratio", 3),
    (r"memory_busy_pair(_\w+)?", "value", 2),      # MiB, both ends
    (r"memory_1pct_busy_daemon_[ab]", "value", 300),  # with 10,000 pairs
    (r"killed_(send|receive)_max", "value", 200),   # ms
    # less than one per shard and second: these are of the whole
    (r"(awake|asleep)_requests_(source|target)", "value", 50),
]


def bound_of(row):
    for name, column, most in BOUNDS:
        if re.fullmatch(name, row["name"]) and row[column] is not None:
            x = row[column]
            what = "x" if column == "ratio" else ""
            if most < 0:
                return f">= {-most:g}{what}", "yes" if x >= -most else "NO"
            return f"<= {most:g}{what}", "yes" if x <= most else "NO"
    return "", ""


def main(lines, out):
    with open(lines) as f:
        rows = [json.loads(x) for x in f if x.startswith("{")]
    for r in rows:
        r.setdefault("ratio_to", None)
        r.setdefault("ratio", None)
    with open(out, "w") as f:
        json.dump(rows, f, indent=1)
    print("%-34s %12s  %-12s %-34s %-8s %s" % (
        "benchmark", "value", "unit", "ratio", "bound", "met"))
    for r in rows:
        ratio = "" if r["ratio"] is None else \
            "%.3f of %s" % (r["ratio"], r["ratio_to"])
        print(("%-34s %12.3f  %-12s %-34s %-8s %s" % (
            r["name"], r["value"], r["unit"], ratio, *bound_of(r))).rstrip())


main(*sys.argv[1:])
