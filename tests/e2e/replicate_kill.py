#!/usr/bin/env python3
"""kill -9 of every kind of process at both ends, while the source is written
to.  Each time a process of the same name is back, and at the end nothing is
lost and nothing is there twice."""
import os
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, kill_now, run_all
from load import Writer, fill, good, make, make_database
from sandbox import SLOW, wait_for

WHERE = [("kills", "a"), ("kills", "b"), ("kills", "emptied")]
ROUNDS = 3


def begin(p):
    make_database(p.a, "kills")
    make(p.a, "kills", "a", 3, 2)
    make(p.a, "kills", "b", 2, 1)
    make(p.a, "kills", "emptied", 2, 1)
    make(p.a, "kills", "unique", 1, 1)
    good(p.a.post("/_db/kills/_api/index?collection=unique",
                  {"type": "persistent", "fields": ["u"], "unique": True}))
    fill(p.a, "kills", "a", 3000)
    p.configure()
    p.wait_running(45)
    p.wait_equal(20)


def mark_arrives(p, what, seconds=30):
    """A document that is written now comes to the target."""
    key = f"mark-{what.replace(' ', '-')}-{time.monotonic_ns()}"
    good(p.a.post("/_db/kills/_api/document/b", {"_key": key}))
    path = f"/_db/kills/_api/document/b/{key}"
    wait_for(lambda: p.b.get(path).status == 200, f"{what}: a document comes", seconds)


def under_load(p, seed):
    return Writer(p.a, WHERE, seed=seed, unique=("kills", "unique"),
                  truncate=[("kills", "emptied")])


def kill(side, title):
    def test(p):
        m = p.ma if side == "source" else p.mb
        with under_load(p, zlib.crc32(f"{side} {title}".encode())) as w:
            for i in range(ROUNDS):
                n = w.taken
                full = m.kill_child(title, which=i)
                wait_for(lambda: full in m.children(), f"{full} is back", 15)
                wait_for(lambda: w.taken > n + 20, "writes go on", 30)
            w.stop()
        mark_arrives(p, f"{side} {title}")
        p.wait_equal(40)
    test.__name__ = f"{title} at the {side}"
    return test


def supervisor_lines(m):
    with open(m.log, errors="replace") as f:
        return sum("the supervisor is gone" in x for x in f)


def kill_supervisor(side):
    def test(p):
        m = p.ma if side == "source" else p.mb
        with under_load(p, 99) as w:
            old = set(m.children().values())
            told = supervisor_lines(m)
            m.kill_supervisor()
            m.start()
            wait_for(lambda: not (old & m.holders()), "the old children left", 15)
            n = w.taken
            wait_for(lambda: w.taken > n + 50, "writes go on", 30)
            w.stop()
        assert supervisor_lines(m) == told + 1, "one process says it for all"
        p.wait_running(60)
        mark_arrives(p, f"{side} supervisor", 40)
        p.wait_equal(40)
    test.__name__ = f"supervisor at the {side}"
    return test


def whole_daemon(side):
    def test(p):
        m = p.ma if side == "source" else p.mb
        with under_load(p, 98) as w:
            m.kill()
            n = w.taken
            wait_for(lambda: w.taken > n + 50, "writes while it is dead", 30)
            m.start()
            n = w.taken
            wait_for(lambda: w.taken > n + 50, "writes go on", 30)
            w.stop()
        p.wait_running(60)
        mark_arrives(p, f"{side} daemon", 40)
        p.wait_equal(40)
    test.__name__ = f"the whole daemon at the {side}"
    return test


def back_soon(p):
    """A killed shard child is back and applying within 200 ms, when the machine
    has nothing else to do; three times as long are let pass here."""
    took = []
    for i in range(5):
        full = p.mb.kill_child("receive", which=i)
        t = time.monotonic()
        wait_for(lambda: full in p.mb.children(), f"{full} is back", 10)
        took.append(time.monotonic() - t)
        p.wait_running(20)
    print("# back after " + ", ".join(f"{x * 1000:.0f} ms" for x in took))
    assert sorted(took)[len(took) // 2] < 0.6 * SLOW, took


def both_at_once(p):
    with under_load(p, 97) as w:
        for i in range(3):
            for m, title in ((p.ma, "send"), (p.mb, "receive"), (p.mb, "link"),
                             (p.ma, "tail")):
                found = sorted(m.find(title).items())
                if found:
                    kill_now(found[i % len(found)][1])
            n = w.taken
            wait_for(lambda: w.taken > n + 30, "writes go on", 30)
        w.stop()
    p.wait_running(45)
    mark_arrives(p, "both ends", 40)
    p.wait_equal(40)


def stopped(p):
    p.check_sync()
    p.stop()
    p.assert_equal(1000)


run_all("kill", [begin,
                 kill("target", "receive"), kill("target", "link"),
                 kill("target", "inventory"), kill("target", "api"),
                 kill("target", "control"),
                 kill("source", "send"), kill("source", "tail"),
                 kill("source", "inventory"), kill("source", "api"),
                 kill("source", "control"),
                 kill_supervisor("target"), kill_supervisor("source"),
                 whole_daemon("target"), whole_daemon("source"),
                 back_soon, both_at_once, stopped], Pair(), 240)
