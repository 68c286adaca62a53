#!/usr/bin/env python3
"""bench_scale.py - many shards: how long they take to start, what they cost
awake and asleep, how soon one whose process was killed applies again.

One line of JSON per number.

	BENCH_SHARDS=1000	shards; 10000 takes some minutes
	BENCH_KILLS=10		kills of each kind of process
	BENCH_ONLY="startup kill idle"
"""
import http.client
import os
import threading
import time

from measure import DB, Raw, cpu_of, daemons, memory, note, result, shards_of
from datacenters import Pair, kill_now
from load import make, make_database
from sandbox import Http, wait_for

SHARDS = int(os.environ.get("BENCH_SHARDS", "1000"))
KILLS = int(os.environ.get("BENCH_KILLS", "10"))
ONLY = os.environ.get("BENCH_ONLY", "startup kill idle").split()
PER = 10                # shards of a collection
KINDS = ("send", "receive")
SECONDS = 5             # that nothing is asked for
COUNTER = "arangodb_http_request_statistics_total_requests_total"


def wait_all(p, n, seconds):
    """Like wait_running(), without asking for each shard all the time; how
    long that took."""
    def good_now():
        try:
            s = p.mb.get("/_api/sync?details=short", forward=True).json
            return s["status"] == "running" and s.get("shardsCount") == n
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return False
    t = time.monotonic()
    wait_for(good_now, f"{n} shards run", seconds)
    p.wait_running(seconds)
    return time.monotonic() - t


# ---- start-up -----------------------------------------------------------------------

def startup(p):
    make_database(p.a, "many")
    before = len(p.wanted_shards())
    for i in range(SHARDS // PER):
        make(p.a, "many", f"c{i}", PER, 1)
    t = wait_all(p, before + SHARDS // PER * PER, 60 + SHARDS / 10)
    result("startup_new_shards", t, f"s/{SHARDS} shards")
    memory(p, "awake")


def restart(p, timeout):
    n = len(p.wanted_shards())
    for m in p.masters:
        m.kill()
    for m in p.masters:
        m.flags["shard.idle-timeout"] = [timeout]
        m.start()
    t = wait_all(p, n, 60 + SHARDS / 10)
    result("startup_restart", t, f"s/{n} shards")


# ---- who was killed -----------------------------------------------------------------

def killed_name(kind):
    return f"kills-{kind}"


def killed(p, kind):
    """From the kill of a shard's process until a document that is written right
    afterwards is at the target; each time another shard's."""
    name = killed_name(kind)
    make(p.a, DB, name, KILLS, 1)
    p.wait_running(60)
    a, b, m = Raw(p.a), Raw(p.b), p.ma if kind == "send" else p.mb
    took = []
    for i, (source, target) in enumerate(zip(shards_of(p.a, name),
                                             shards_of(p.b, name))):
        for key in ("before", "after"):
            if key == "after":
                pid = m.find(f"{kind} {DB}/{name}/{i}")
                kill_now(next(iter(pid.values())))
                t = time.monotonic()
            r, body = a.ask("POST", f"/_db/{DB}/_api/document/{source}",
                            b'{"_key":"%s"}' % key.encode())
            assert r.status in (201, 202), body
            path = f"/_db/{DB}/_api/document/{target}/{key}"
            end = time.monotonic() + 30
            while b.ask("HEAD", path)[0].status != 200:
                assert time.monotonic() < end, f"{key} does not come"
                time.sleep(0.001)
        took.append((time.monotonic() - t) * 1000)
        time.sleep(0.1)
    took.sort()
    note(f"   {kind} killed: " + " ".join(f"{x:.0f}" for x in took) + " ms")
    result(f"killed_{kind}_p50", took[len(took) // 2], "ms")
    result(f"killed_{kind}_max", took[-1], "ms")


# ---- nothing is written -------------------------------------------------------------

def requests(cluster):
    """How many requests its coordinators and DB-servers have got."""
    n = 0
    for s in cluster.info()["servers"]:
        if s["role"] == "agent":
            continue            # servers ask it, too
        text = Http(s["endpoint"], cluster.token()).get(
            "/_admin/metrics/v2").body.decode()
        n += int(text.split(COUNTER + "{")[-1].split()[-1])
    return n


def idle(p, when):
    """CPU of both daemons, and what they ask their clusters for."""
    pids = daemons(p)
    c, t = cpu_of(pids), time.monotonic()
    n = [requests(x) for x in (p.a, p.b)]
    time.sleep(SECONDS)
    took = time.monotonic() - t
    c = cpu_of(pids) - c
    k = len(p.wanted_shards())
    result(f"{when}_cpu", c / took * 100, f"% of a core/{k} shards")
    for x, before, side in zip((p.a, p.b), n, ("source", "target")):
        # without our own two of each server
        mine = sum(s["role"] != "agent" for s in x.info()["servers"])
        result(f"{when}_requests_{side}", max(0, requests(x) - before - mine) /
               took, f"1/s of {k} shards")


def awake(p):
    return len(p.ma.find("send")) + len(p.mb.find("receive"))


def fall_asleep(p, timeout):
    restart(p, f"{timeout}s")
    # those that were killed are looked at again in a quarter of an hour
    for kind in KINDS:
        p.a.delete(f"/_db/{DB}/_api/collection/{killed_name(kind)}")
    wait_for(lambda: awake(p) == 0, "all processes of shards have left",
             timeout + 60 + SHARDS / 20)
    time.sleep(1)
    memory(p, "asleep")
    idle(p, "asleep")
    p.wait_running(10)


class Busy(threading.Thread):
    """Writes to these shards of the source, one document each in turn."""

    def __init__(self, p, shards):
        super().__init__(daemon=True)
        self.raw, self.shards = Raw(p.a), shards
        self.ending, self.n = False, 0

    def run(self):
        while not self.ending:
            begin = time.monotonic()
            for s in self.shards:
                r, body = self.raw.ask(
                    "POST", f"/_db/many/_api/document/{s}",
                    b'{"_key":"k%d","text":"%s"}' % (self.n, b"x" * 1000))
                assert r.status in (201, 202), body
            self.n += 1
            time.sleep(max(0, begin + 0.1 - time.monotonic()))


def one_in_hundred(p):
    """Of all that sleep every hundredth is written to, ten times a second."""
    shards, i = [], 0
    while len(shards) < max(1, SHARDS // 100):
        shards += shards_of(p.a, f"c{i}", "many")[:max(1, SHARDS // 100) -
                                                 len(shards)]
        i += 1
    w = Busy(p, shards)
    w.start()
    time.sleep(SECONDS)
    note(f"   {awake(p)} processes of {len(shards)} shards that are written to")
    memory(p, "1pct_busy")
    w.ending = True
    w.join(10)


def main():
    with Pair(dbservers=1) as p:
        make_database(p.a, DB)
        make(p.a, DB, "first", 1, 1)
        p.configure()
        p.wait_running(60)
        if "startup" in ONLY or "idle" in ONLY:
            note(f"   {SHARDS} shards start")
            startup(p)
        if "kill" in ONLY:
            for kind in KINDS:
                killed(p, kind)
        if "idle" in ONLY:
            idle(p, "awake")
            fall_asleep(p, 5 if SHARDS <= 2000 else 60)
            one_in_hundred(p)
        elif "startup" in ONLY:
            restart(p, "60s")
        p.command("abort", "sync")


if {"startup", "kill", "idle"} & set(ONLY):
    main()
