#!/usr/bin/env python3
"""Writers keep inserting, replacing, deleting and truncating while processes of
both daemons are killed at random, now and then whole daemons, DB-servers, and
the network.  Then `stop sync` ends in time with exit 0 and both sides are equal.

CHAOS_SECONDS (default 60) and CHAOS_SEED repeat a run."""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, kill_now, run_all
from load import Writer, fill, good, make, make_database
from sandbox import wait_for

SECONDS = int(os.environ.get("CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("CHAOS_SEED", str(int(time.time()) % 100000)))
# 1: also DB-servers of both clusters; 0: only our own processes and the link
SERVERS = int(os.environ.get("CHAOS_SERVERS", "1"))
DB = "chaos"
WHERE = [(DB, "a"), (DB, "b"), (DB, "emptied"), ("chaos2", "c")]


def begin(p):
    make_database(p.a, DB)
    make_database(p.a, "chaos2")
    make(p.a, DB, "a", 3, 2)
    make(p.a, DB, "b", 2, 3)
    make(p.a, DB, "emptied", 2, 1)
    make(p.a, DB, "unique", 1, 2)
    make(p.a, "chaos2", "c", 2, 2)
    good(p.a.post(f"/_db/{DB}/_api/index?collection=unique",
                  {"type": "persistent", "fields": ["u"], "unique": True}))
    fill(p.a, DB, "a", 2000)
    p.configure()
    p.wait_running(45)


def child(p, rng):
    m = rng.choice(p.masters)
    found = sorted(m.children().items())
    if not found:
        return None
    title, pid = rng.choice(found)
    kill_now(pid)
    return f"{m.name}: {title}"


def daemon(p, rng):
    m = rng.choice(p.masters)
    how = rng.choice(("kill", "kill", "stop", "supervisor"))
    if how == "supervisor":
        m.kill_supervisor()
    else:
        getattr(m, how)()
    time.sleep(rng.choice((0, 0.5, 3)))
    m.start()
    return f"{m.name}: {how}"


def network(p, rng):
    how = rng.choice(("cut", "stall"))
    getattr(p.proxy, how)()
    time.sleep(rng.choice((0, 0.5, 4)))
    p.proxy.mend()
    return how


def server(p, rng):
    c = rng.choice((p.a, p.b))
    name = f"dbserver{rng.randrange(1, 4)}"
    how, back = rng.choice((("kill", "start"), ("pause", "resume")))
    c.run(how, name)
    time.sleep(rng.choice((0, 0.5, 7)))
    c.run(back, name)
    return f"{how} {name} of {'a' if c is p.a else 'b'}"


def disturb(p):
    rng = random.Random(SEED)
    log, end = [], time.monotonic() + SECONDS
    kinds = [child] * 10 + [daemon] * 2 + [network] * 2 + [server] * SERVERS
    while time.monotonic() < end:
        what = rng.choice(kinds)(p, rng)
        if what:
            log.append(what)
        time.sleep(rng.choice((0.05, 0.3, 1, 2)))
    return log


def chaos(p):
    writers = [Writer(p.a, WHERE, seed=SEED + i, pause=0.01,
                      truncate=[(DB, "emptied")],
                      unique=(DB, "unique") if i == 0 else None) for i in range(2)]
    for w in writers:
        w.start()
    try:
        log = disturb(p)
    finally:
        for w in writers:
            w.ending.set()
    print(f"# seed {SEED}: " + "; ".join(log))
    for w in writers:
        w.stop()
        print("# " + w.told())
    assert sum(w.taken for w in writers) > SECONDS, "hardly anything was written"
    assert len(log) >= SECONDS / 6, "hardly anything was disturbed"


def whole_again(p):
    for c in (p.a, p.b):
        for s in c.info()["servers"]:
            if s["state"] != "up":
                c.run("start" if s["state"] == "down" else "resume", s["name"])
    p.wait_running(90)
    p.wait_equal(60)


def stopped(p):
    p.stop(seconds=90)
    p.assert_equal(500)


run_all("chaos", [begin, chaos, whole_again, stopped], Pair(proxy=True),
        180 + SECONDS)
