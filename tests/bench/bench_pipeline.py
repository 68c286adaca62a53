#!/usr/bin/env python3
"""bench_pipeline.py - the whole way, from the log of the source's DB-server to
the shard of the target: documents/s, MB/s and CPU-seconds per GiB, how late
documents come at a steady rate, memory.

One line of JSON per number.  Null stages stand beside them, on the same machine
in the same run: reading the same log and throwing it away, writing the same
documents in the same requests, and a loop of a few lines that does both.

	BENCH_SECONDS=5		length of each part at a steady rate
	BENCH_MIB=48		bytes of documents of each size
	BENCH_SIZES="100 1024 10240"
	BENCH_ONLY="throughput lag memory"
"""
import json
import os
import signal
import sys
import threading
import time

from measure import DB, GIB, Raw, cpu_of, daemons, memory, note, private_kib, \
    result, shards_of
from datacenters import Pair
from load import good, make, make_database
from sandbox import wait_for

SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
MIB = float(os.environ.get("BENCH_MIB", "48"))
SIZES = os.environ.get("BENCH_SIZES", "100 1024 10240").split()
ONLY = os.environ.get("BENCH_ONLY", "throughput lag memory").split()


def cpu_by_kind(p):
    """{"tail": CPU-seconds, ...} of both daemons together."""
    out = {}
    for m in p.masters:
        for title, pid in m.children().items():
            kind = title.split()[0]
            out[kind] = out.get(kind, 0) + cpu_of([pid])
    return out


def last_tick(cluster):
    r, body = Raw(cluster).ask("GET", "/_api/wal/lastTick")
    assert r.status == 200, body
    return int(json.loads(body)["tick"])


def read_log(raw, at, keep=None, chunk=8 * 2**20):
    """To the end of the log; the position there, and how many bytes."""
    n = 0
    while True:
        r, body = raw.ask("GET", f"/_api/wal/tail?global=true&from={at}"
                          f"&lastScanned=0&chunkSize={chunk}")
        assert r.status in (200, 204), body[:200]
        n += len(body)
        if keep is not None:
            keep.append(body)
        included = int(r.getheader("x-arango-replication-lastincluded") or 0)
        scanned = int(r.getheader("x-arango-replication-lastscanned") or 0)
        to = included if included > 0 else max(at, scanned - 1)
        more = r.getheader("x-arango-replication-checkmore") == "true"
        if to <= at or not more:
            return max(to, at), n
        at = to


def documents_of(bodies, shards):
    """What 2300 markers hold: {shard: [JSON text]}."""
    found = {}
    for body in bodies:
        for line in body.splitlines():
            i = line.find(b'"data":{')
            if i < 0 or b'"type":2300' not in line[:i]:
                continue
            j = line.find(b'"cuid":"')
            shard = line[j + 8:line.find(b'"', j + 8)].split(b"/")[-1].decode()
            if shard in shards:
                found.setdefault(shard, []).append(line[i + 7:-1])
    return found


def write_path(shard):
    return f"/_db/{DB}/_api/document/{shard}?isRestore=true&overwriteMode=replace" \
        "&silent=true"


# ---- throughput --------------------------------------------------------------------------

def document(i, size):
    head = '{"_key":"%d","number":%d,"price":%d.25,"active":true,"tags":["a","b"],' \
        '"address":{"city":"Cologne","zip":"50667"}' % (i, i, i % 1000)
    if size <= len(head) + 60:
        head = '{"_key":"%d","n":%d' % (i, i)
    pad = size - len(head) - 10
    return head + (',"p":"%s"}' % ("%d " % i * (pad // 2))[:pad] if pad > 0 else "}")


def count(raw, shards):
    n = 0
    for s in shards:
        r, body = raw.ask("GET", f"/_db/{DB}/_api/collection/{s}/count")
        n += json.loads(body)["count"] if r.status == 200 else 0
    return n


def throughput(p, size):
    label = {100: "100_B", 1024: "1_KiB", 10240: "10_KiB"}[size]
    name = "docs" + label
    total = int(MIB * 2**20 / (1 if size > 100 else 4))
    n = total // size
    make(p.a, DB, name, 4, 1)
    make_null(p, name)
    p.wait_running(60)
    before = last_tick(p.a)
    tails = list(p.ma.find("tail").values())
    assert tails, "no tail runs"
    for t in tails:             # the log gets longer and nobody reads it
        os.kill(t, signal.SIGSTOP)
    try:
        h = p.a.connect()
        step = max(1, 2**20 // size)
        for lo in range(0, n, step):
            body = "[" + ",".join(document(i, size)
                                  for i in range(lo, min(n, lo + step))) + "]"
            good(h.post(f"/_db/{DB}/_api/document/{name}?silent=true", body))
        target = shards_of(p.b, name)
        raw = Raw(p.b)
        assert count(raw, target) == 0, "it was copied while nobody read"
        kinds = cpu_by_kind(p)
        cpu, t = cpu_of(daemons(p)), time.monotonic()
    finally:
        for x in tails:
            os.kill(x, signal.SIGCONT)
    wait_for(lambda: count(raw, target) >= n, f"{n} documents of {size} bytes", 120)
    took = time.monotonic() - t
    cpu = cpu_of(daemons(p)) - cpu
    kinds = {k: v - kinds.get(k, 0) for k, v in cpu_by_kind(p).items()}
    assert count(raw, target) == n

    bodies, begin, c0 = [], time.monotonic(), time.process_time()
    _, bytes_read = read_log(Raw(p.a), before, bodies)
    t_read, c_read = time.monotonic() - begin, time.process_time() - c0
    docs = documents_of(bodies, set(shards_of(p.a, name)))
    del bodies
    assert sum(map(len, docs.values())) == n, "the log does not hold them all"
    size_all = sum(len(d) for v in docs.values() for d in v)
    requests = []
    for shard, to in zip(shards_of(p.a, name), shards_of(p.b, "null" + name)):
        batch, room = [], 0
        for d in docs.get(shard, ()):
            batch.append(d)
            room += len(d)
            if room > 2**20:
                requests.append((to, b"[" + b",".join(batch) + b"]"))
                batch, room = [], 0
        if batch:
            requests.append((to, b"[" + b",".join(batch) + b"]"))
    raw, begin, c0 = Raw(p.b), time.monotonic(), time.process_time()
    for to, body in requests:
        r, answer = raw.ask("POST", write_path(to), body)
        assert r.status in (201, 202) and \
            r.getheader("x-arango-error-codes") is None, answer[:300]
    t_write, c_write = time.monotonic() - begin, time.process_time() - c0
    assert count(raw, shards_of(p.b, "null" + name)) == n
    slow = max(t_read, t_write)
    result(f"pipeline_{label}", n / took, "documents/s")
    result(f"pipeline_{label}_bytes", size_all / took / 1e6, "MB/s",
           f"null_{'write' if t_write > t_read else 'read'}_{label}", slow / took)
    result(f"pipeline_{label}_cpu", cpu / (size_all / GIB), "CPU-s/GiB",
           f"null_stages_cpu_{label}", cpu / max(c_read + c_write, 1e-3))
    for kind in ("tail", "send", "api", "link", "receive"):
        result(f"pipeline_{label}_cpu_{kind}", kinds.get(kind, 0) /
               (size_all / GIB), "CPU-s/GiB")
    result(f"null_read_{label}", bytes_read / t_read / 1e6, "MB/s")
    result(f"null_write_{label}", size_all / t_write / 1e6, "MB/s")
    result(f"null_stages_cpu_{label}", (c_read + c_write) / (size_all / GIB),
           "CPU-s/GiB")


def make_null(p, name):
    """Where the null stage writes: a collection at the target that nobody
    replicates would be dropped, so the source has it, too, and leaves it
    empty."""
    make(p.a, DB, "null" + name, 4, 1)


# ---- lag ------------------------------------------------------------------------------------

class Steady(threading.Thread):
    """So many inserts a second into one shard of the source, at its leader; a
    thread of its own measures when some of them are in the target."""

    def __init__(self, p, rate, shard):
        super().__init__(daemon=True)
        self.raw, self.rate, self.shard = Raw(p.a), rate, shard
        self.ending, self.n, self.late = False, 0, 0
        self.lock, self.newest = threading.Lock(), None

    def run(self):
        per = max(1, self.rate // 100)          # a hundred requests a second
        begin, i = time.monotonic(), 0
        while not self.ending:
            i += 1
            key = f"{self.rate}-{i}"
            docs = ",".join('{"_key":"%s%s","v":%d,"text":"%s"}' % (
                key, "-%d" % k if k else "", k, "x" * 120) for k in range(per))
            r, body = self.raw.ask("POST", f"/_db/{DB}/_api/document/{self.shard}"
                                   "?silent=true", "[" + docs + "]")
            assert r.status in (201, 202), body[:200]
            self.n += per
            with self.lock:
                self.newest = (key, time.monotonic())
            wait = begin + i * per / self.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            else:
                self.late += 1


def pair_kib(p, name):
    """Memory of both processes of a shard."""
    return sum(private_kib(pid) for m, kind in ((p.ma, "send"), (p.mb, "receive"))
               for pid in m.find(f"{kind} {name}").values())


def measure_lag(p, rate, source_shard, target_shard, pair=False):
    w, raw, lags, last = Steady(p, rate, source_shard), Raw(p.b), [], None
    path = f"/_db/{DB}/_api/document/{target_shard}/"
    w.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with w.lock:
            newest = w.newest
        if newest is None or newest == last:
            time.sleep(0.0005)
            continue
        last = newest
        key, t = newest
        while True:
            r, _ = raw.ask("HEAD", path + key)
            now = time.monotonic()
            if r.status == 200:
                lags.append((now - t) * 1000)
                break
            assert now - t < 30, "it never came"
            time.sleep(0.0005)
    if pair:                    # while it is written to
        result(f"memory_busy_pair_{rate}", pair_kib(p, f"{DB}/lag/0") / 1024,
               "MiB")
    w.ending = True
    w.join(10)
    lags.sort()
    assert len(lags) > 10, "too few were measured"
    note(f"   {w.n} written in {SECONDS:.0f} s ({w.late} requests were late), "
         f"{len(lags)} measured")
    return lags[len(lags) // 2], lags[int(len(lags) * 0.99)], lags[-1]


class NullTail(threading.Thread):
    """Reads the log, takes the documents of one shard, writes them to another:
    what cannot be done with less."""

    def __init__(self, p, source_shard, target_shard):
        super().__init__(daemon=True)
        self.a, self.b = Raw(p.a), Raw(p.b)
        self.source, self.target = source_shard, target_shard
        self.at, self.ending = last_tick(p.a), False

    def run(self):
        while not self.ending:
            keep = []
            at, n = read_log(self.a, self.at, keep)
            docs = documents_of(keep, {self.source}).get(self.source, [])
            self.at = at
            if docs:
                r, body = self.b.ask("POST", write_path(self.target),
                                     b"[" + b",".join(docs) + b"]")
                assert r.status in (201, 202), body[:200]
            else:
                time.sleep(0.001)


def lag(p):
    make(p.a, DB, "lag", 1, 1)
    make(p.a, DB, "lagnull", 1, 1)
    p.wait_running(60)
    source, target = (shards_of(c, "lag")[0] for c in (p.a, p.b))
    null_target = shards_of(p.b, "lagnull")[0]
    for rate in (1000, 5000):
        ours = measure_lag(p, rate, source, target, True)
        note(f"   lag at {rate}/s: " + ", ".join(f"{x:.1f}" for x in ours) + " ms")
        stopped = sorted(daemons(p))
        for x in stopped:
            os.kill(x, signal.SIGSTOP)
        try:
            t = NullTail(p, source, null_target)
            t.start()
            # its keys are others: the rate is part of them
            null = measure_lag_null(p, rate, source, null_target)
            t.ending = True
            t.join(10)
        finally:
            for x in stopped:
                os.kill(x, signal.SIGCONT)
        for what, x, y in zip(("p50", "p99", "max"), ours, null):
            result(f"lag_{rate}_{what}", x, "ms", f"null_lag_{rate}_{what}", x / y)
            result(f"null_lag_{rate}_{what}", y, "ms")
        p.wait_running(60)
        n = count(Raw(p.a), [source])
        raw = Raw(p.b)
        wait_for(lambda: count(raw, [target]) == n, "all have come", 60)


def measure_lag_null(p, rate, source, target):
    good(p.a.put(f"/_db/{DB}/_api/collection/lag/truncate"))
    return measure_lag(p, rate, source, target)


def main():
    with Pair(dbservers=1) as p:
        make_database(p.a, DB)
        make(p.a, DB, "first", 1, 1)
        p.configure()
        p.wait_running(60)
        if "throughput" in ONLY:
            for size in map(int, SIZES):
                note(f"   documents of {size} bytes")
                throughput(p, size)
        if "memory" in ONLY:
            memory(p, "busy")
        if "lag" in ONLY:
            lag(p)
        p.command("abort", "sync")


if {"throughput", "lag", "memory"} & set(ONLY):
    main()
