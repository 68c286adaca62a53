#!/usr/bin/env python3
"""Fifty collections of eight shards: four hundred pairs, each a process at both
ends.  REPLICATE_COLLECTIONS=n makes it more or fewer."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import Writer, fill, good, make, make_database
from sandbox import wait_for

N = int(os.environ.get("REPLICATE_COLLECTIONS", "50"))
SHARDS = 8
WHERE = [(f"many{i % 5}", f"c{i}") for i in range(N)]


def begin(p):
    for i in range(5):
        make_database(p.a, f"many{i}")
    for db, name in WHERE:
        make(p.a, db, name, SHARDS, 1)
    for db, name in WHERE[::2]:
        fill(p.a, db, name, 200)
    t = time.monotonic()
    p.configure()
    p.wait_running(100)
    print(f"# {N * SHARDS} shards run after {time.monotonic() - t:.1f} s")
    p.wait_equal(30)


def written_to(p):
    with Writer(p.a, WHERE, seed=3, pause=0) as w:
        wait_for(lambda: w.taken > 800, "writes", 60)
        w.stop()
    for db, name in WHERE[1::2]:
        fill(p.a, db, name, 100)
    p.wait_equal(60)


def master_dies(p):
    """All processes of the target at once, while it is written to."""
    with Writer(p.a, WHERE, seed=5) as w:
        wait_for(lambda: w.taken > 50, "writes", 30)
        p.mb.kill()
        p.mb.start()
        wait_for(lambda: w.taken > 300, "writes", 30)
        w.stop()
    p.wait_running(100)
    p.wait_equal(60)


def stopped(p):
    p.check_sync()
    p.stop(seconds=90)
    assert p.assert_equal(N * 100) >= N * 100


run_all("many", [begin, written_to, master_dies, stopped], Pair(), 240)
