#!/usr/bin/env python3
"""What a tail does when its DB-server is restarted, loses its power or prunes
its log: nothing is repaired that can be proven, nothing is kept that cannot.
The processes tail, send and receive work without the daemon (tests/rig)."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from pair import Rig, Writer, bulk, make, wait_equal
from sandbox import Cluster, Tap, wait_for

t = Tap(4)


def tails(rig):
    return {n: s for n, s in rig.status.items() if n.startswith("tail ")}


def repairs(rig):
    """Repairs that the receives have begun, all together."""
    with open(os.path.join(rig.dir, "log")) as f:
        return sum("-> snapshot (" in line for line in f
                   if " receive " in line)


def all_tails(rig, state="running"):
    return all(s["state"] == state for s in tails(rig).values())


def start(a, b, name):
    make(a, b, name, replicationFactor=1)
    bulk(a, name, 0, 3000)
    rig = Rig(a, b, name)
    wait_for(rig.running, "running pairs", 60)
    wait_equal(a, b, name)
    return rig


def restarted(a, b):
    """kill -9 and start: the log is the same, nothing is repaired."""
    rig = start(a, b, "restarted")
    try:
        before = repairs(rig)
        ids = {n: s["reboot_id"] for n, s in tails(rig).items()}
        for n in (1, 2, 3):
            server = "dbserver%d" % n
            # what was not synced may be lost otherwise
            a.run("kill", server)
            wait_for(lambda: not all_tails(rig), "a tail that is down")
            a.run("start", server)
        wait_for(lambda: all_tails(rig) and all(
            s["reboot_id"] > ids[n] for n, s in tails(rig).items()),
            "tails that have proven the log", 60)
        bulk(a, "restarted", 3000, 1000)
        wait_equal(a, b, "restarted")
        wait_for(rig.running, "running pairs", 60)
        assert repairs(rig) == before, (before, repairs(rig))
    finally:
        rig.stop()


def written_while_down(a, b):
    """Servers go down and come back while it is written to."""
    rig = start(a, b, "busy")
    writers = []
    try:
        writers = [Writer(a, "busy", seed) for seed in range(2)]
        for n in (1, 2, 3):
            a.run("kill", "dbserver%d" % n)
            a.run("start", "dbserver%d" % n)
        for w in writers:
            w.stop()
        writers = []
        wait_equal(a, b, "busy", 120)
    finally:
        for w in writers:
            w.stop()
        rig.stop()


def power_cut(a, b):
    """What was not synced is gone, and its ticks mean something else."""
    rig = start(a, b, "cut")
    writers = []
    try:
        for n in (1, 2, 3):
            writers = [Writer(a, "cut", seed) for seed in range(2)]
            wait_for(lambda: all(w.writes > 30 for w in writers), "writes")
            a.run("power-cut", "dbserver%d" % n)
            a.run("start", "dbserver%d" % n)
            for w in writers:
                w.stop()
            writers = []
        wait_equal(a, b, "cut", 120)
    finally:
        for w in writers:
            w.stop()
        rig.stop()


def pruned(a, b):
    """Idle shards need no log; one that sleeps too long is repaired."""
    rig = start(a, b, "pruned")
    try:
        before = repairs(rig)
        make(a, b, "other", replicationFactor=1)
        bulk(a, "other", 0, 3000, 1000)
        held = {n: s["held_tick"] for n, s in tails(rig).items()}
        # the hold moves on though nothing came for these channels
        wait_for(lambda: all(s["held_tick"] > held[n]
                             for n, s in tails(rig).items()),
                 "a hold that moves on", 120)
        for n in (1, 2, 3):
            a.run("prune-wal", "dbserver%d" % n)
        for pid in rig.children("send") + rig.children("tail"):
            os.kill(pid, 9)
        bulk(a, "pruned", 3000, 100)
        wait_equal(a, b, "pruned")
        wait_for(rig.running, "running pairs", 60)
        assert repairs(rig) == before, (before, repairs(rig))
    finally:
        rig.stop()


with Cluster(auth=True) as a, Cluster(auth=True) as b:
    t.run("a restarted server is proven to have the same log", restarted,
          a, b)
    t.run("servers may be down while it is written", written_while_down, a, b)
    t.run("a power cut is noticed", power_cut, a, b)
    t.run("a pruned log is no loss for idle shards", pruned, a, b)
t.finish()
