#!/usr/bin/env python3
"""DB-servers of both clusters are killed, paused, lose their power; shards move;
coordinators and agents go and come; both clusters stop and start - while the
source is written to.  Afterwards both sides are equal."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import Writer, fill, good, make, make_database
from sandbox import wait_for

DB = "servers"
WHERE = [(DB, "two"), (DB, "three")]


def begin(p):
    make_database(p.a, DB)
    make(p.a, DB, "two", 3, 2)
    make(p.a, DB, "three", 2, 3)
    fill(p.a, DB, "two", 3000)
    p.configure()
    p.wait_running(45)
    p.wait_equal(20)


def settled(p, what):
    """Both clusters whole, all shards run, both sides equal."""
    for c in (p.a, p.b):
        for s in c.info()["servers"]:
            if s["state"] != "up":
                c.run("start" if s["state"] == "down" else "resume", s["name"])
        for _, name in WHERE:
            c.wait_in_sync(name, DB, 60)
    p.wait_running(60)
    key = f"mark-{time.monotonic_ns()}"
    h = p.a.connect()
    good(h.post(f"/_db/{DB}/_api/document/two", {"_key": key}))
    h.close()
    wait_for(lambda: p.b.get(f"/_db/{DB}/_api/document/two/{key}").status == 200,
             f"{what}: a document comes", 40)
    p.wait_equal(40)


def busy(p, seed):
    return Writer(p.a, WHERE, seed=seed, pause=0.01)


def leader_name(c, name="two", index=0):
    servers = list(c.shards(name, DB).values())[index]
    return c.server_of_id(servers[0])["name"]


def some_writes(w, n=30, seconds=60):
    had = w.taken
    wait_for(lambda: w.taken > had + n, "writes go on", seconds)


def killed(side):
    def test(p):
        c = getattr(p, side)
        with busy(p, 1) as w:
            some_writes(w)
            name = leader_name(c)
            c.run("kill", name)
            some_writes(w)
            c.run("start", name)
            some_writes(w)
            w.stop()
        settled(p, f"killed at {side}")
    test.__name__ = f"db server killed and started at {side}"
    return test


def restarted(side):
    """At once: the shards stay where they are, the server's memory of who
    holds its log does not."""
    def test(p):
        c = getattr(p, side)
        with busy(p, 2) as w:
            for name in ("dbserver1", "dbserver2", "dbserver3"):
                some_writes(w, 10)
                c.run("kill", name)
                c.run("start", name)
            some_writes(w)
            w.stop()
        settled(p, f"restarted at {side}")
    test.__name__ = f"db servers restarted one by one at {side}"
    return test


def paused(side):
    def test(p):
        c = getattr(p, side)
        with busy(p, 3) as w:
            name = leader_name(c, "three")
            some_writes(w)
            c.run("pause", name)
            some_writes(w, 5)
            c.run("resume", name)
            some_writes(w)
            w.stop()
        settled(p, f"paused at {side}")
    test.__name__ = f"db server paused at {side}"
    return test


def power_cut(side):
    """Answered writes may be gone, and their ticks are given out again."""
    def test(p):
        c = getattr(p, side)
        with busy(p, 4) as w:
            some_writes(w)
            name = leader_name(c)
            c.run("power-cut", name)
            c.run("start", name)
            some_writes(w)
            w.stop()
        settled(p, f"power cut at {side}")
    test.__name__ = f"power cut at {side}"
    return test


def moved(side):
    def test(p):
        c = getattr(p, side)
        with busy(p, 5) as w:
            some_writes(w)
            led = leader_name(c)
            to = [n for n in ("dbserver1", "dbserver2", "dbserver3") if n != led]
            c.run("move-shard", DB, "two", "0", to[0])
            some_writes(w)
            c.run("move-shard", DB, "two", "0", to[1])
            some_writes(w)
            w.stop()
        settled(p, f"moved at {side}")
    test.__name__ = f"shard moved at {side}"
    return test


def others(side):
    """The coordinator that everybody asks, and the agent."""
    def test(p):
        c = getattr(p, side)
        with busy(p, 6) as w:
            some_writes(w)
            for name in ("coordinator1", "agent1"):
                c.run("kill", name)
                time.sleep(0.5)
                c.run("start", name)
                some_writes(w)
            w.stop()
        settled(p, f"coordinator and agent at {side}")
    test.__name__ = f"coordinator and agent restarted at {side}"
    return test


def both_clusters(p):
    with busy(p, 7) as w:
        some_writes(w)
        for c in (p.b, p.a):
            c.run("stop")
        for c in (p.a, p.b):
            c.launch()
        some_writes(w)
        w.stop()
    settled(p, "both clusters restarted")


def faults(p):
    """Requests that are executed and not answered, and answers of 503."""
    with busy(p, 8) as w:
        for fault in ("drop", "503", "refuse", "delay=150"):
            for n in (1, 2, 3):
                p.b.run("fault", f"dbserver{n}", fault, "--path", "/_db",
                        "--count", "5")
            some_writes(w, 20)
        for n in (1, 2, 3):
            p.b.run("fault", f"dbserver{n}", "none")
        w.stop()
    settled(p, "faults")


def stopped(p):
    p.check_sync()
    p.stop()
    p.assert_equal(1000)


run_all("servers", [begin] + [f(s) for f in (killed, restarted, paused, power_cut,
                                             moved, others) for s in "ab"] +
        [both_clusters, faults, stopped],
        Pair(coordinators=2), 300)
