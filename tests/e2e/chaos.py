#!/usr/bin/env python3
"""Writers on eight connections while servers are killed, paused, lose their
power and shards move.  Afterwards every acknowledged write is there, once, on
leader and in-sync followers alike.

CHAOS_SECONDS (default 60, per phase) and CHAOS_SEED repeat a run.

What a key may hold is kept by the test: a write that was answered fixes it; one
whose outcome is unknown leaves two possibilities, and the key is not written
again, because the lost request may still run (rule R16)."""
import http.client
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from sandbox import Cluster, Http, Tap, wait_for

SECONDS = int(os.environ.get("CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("CHAOS_SEED", str(int(time.time()))))
WRITERS = 8
COLLECTION = "chaos"


class Writer(threading.Thread):
    def __init__(self, cluster, number, sync, stop):
        super().__init__(daemon=True)
        self.c, self.number, self.sync, self.stop = cluster, number, sync, stop
        self.rng = random.Random(SEED * 100 + number)
        self.state = {}         # key -> set of versions it may hold (None: absent)
        self.retired = set()
        self.version = 0
        self.acked = self.unknown = self.refused = 0
        self.trouble = None
        self.conns = {}

    def conn(self):
        name = "coordinator%d" % self.rng.choice((1, 2))
        if name not in self.conns:
            self.conns[name] = self.c.connect(name, timeout=90)
        return self.conns[name]

    def run(self):
        try:
            while not self.stop.is_set():
                self.step()
        except BaseException as e:
            self.trouble = e

    def keys(self, n):
        """Keys of this writer that may still be written, old and new."""
        alive = [k for k in self.state if k not in self.retired]
        picked = self.rng.sample(alive, min(len(alive), n // 2))
        while len(picked) < n:
            k = "w%d-%d" % (self.number, self.rng.randrange(10 ** 9))
            if k not in self.state:
                self.state[k] = {None}
                picked.append(k)
        return picked

    def step(self):
        self.version += 1
        v = self.version
        keys = self.keys(self.rng.choice((1, 1, 5, 50)))
        remove = self.rng.random() < 0.2
        wait = self.sync or self.rng.random() < 0.1
        path = f"/_api/document/{COLLECTION}?waitForSync={'true' if wait else 'false'}"
        new = None if remove else v
        try:
            if remove:
                r = self.conn().delete(path, keys)
            else:
                r = self.conn().post(
                    path + "&overwriteMode=replace",
                    [{"_key": k, "v": v, "pad": "x" * self.rng.randrange(200)}
                     for k in keys], retry=False)
        except (OSError, http.client.HTTPException):
            self.lost(keys, new)
            time.sleep(0.05)
            return
        if r.status not in (200, 201, 202):
            if r.status in (403, 404, 421):
                self.refused += 1
                self.lost(keys, new)
            else:
                self.lost(keys, new)
            time.sleep(0.05)
            return
        for k, x in zip(keys, r.json):
            num = x.get("errorNum", 0)
            if num == 0:
                self.state[k] = {new}
                self.acked += 1
            elif remove and num == 1202:
                self.settle_absent(k)
            else:
                self.lost([k], new)

    def settle_absent(self, k):
        """Not found: it must have been possible that it is absent."""
        if None not in self.state[k]:
            raise AssertionError(f"{k} is gone; may hold {self.state[k]}")
        self.state[k] = {None}

    def lost(self, keys, new):
        for k in keys:
            self.state[k] = self.state[k] | {new}
            self.retired.add(k)
            self.unknown += 1


def disturb(c, rng, seconds, power_cuts):
    end = time.monotonic() + seconds
    log = []
    while time.monotonic() < end:
        what = rng.choice(["kill", "pause", "move", "move", "coordinator"]
                          + (["power-cut"] * 3 if power_cuts else ["kill"]))
        name = "dbserver%d" % rng.randrange(1, 4)
        log.append(f"{what} {name}")
        if what in ("kill", "power-cut"):
            c.run(what, name)
            time.sleep(rng.choice((0.1, 1, 3, 9)))
            c.run("start", name)
        elif what == "pause":
            c.run("pause", name)
            time.sleep(rng.choice((0.1, 1, 3, 9)))
            c.run("resume", name)
        elif what == "coordinator":
            c.run("kill", "coordinator2")
            time.sleep(rng.choice((0.1, 1)))
            c.run("start", "coordinator2")
        else:
            # May fail while the cluster is healing; that is no loss.
            c.run("move-shard", "_system", COLLECTION, rng.randrange(3), name,
                  check=False)
        time.sleep(rng.choice((0.1, 0.5, 2)))
    return log


def compare(c, writers):
    docs = c.documents(COLLECTION)
    wrong = []
    for w in writers:
        for k, may in w.state.items():
            have = docs.get(k, {}).get("v") if k in docs else None
            if have not in may:
                wrong.append((k, have, sorted(map(str, may))))
    known = {k for w in writers for k in w.state}
    extra = set(docs) - known
    assert not wrong, f"{len(wrong)} keys are wrong: {wrong[:5]}"
    assert not extra, f"invented: {list(extra)[:5]}"
    total = 0
    for shard, servers in c.shards(COLLECTION).items():
        assert len(servers) == 2, (shard, servers)
        sums = {}
        for ident in servers:
            h = Http(c.server_of_id(ident)["endpoint"], c.token())
            r = h.get(f"/_api/collection/{shard}/checksum"
                      "?withData=true&withRevisions=true")
            n = h.get(f"/_api/collection/{shard}/count")
            sums[ident] = (r.json["checksum"], n.json["count"])
        assert len(set(sums.values())) == 1, (shard, sums)
        total ^= int(list(sums.values())[0][0])
    r = c.get(f"/_api/collection/{COLLECTION}/checksum?withData=true&withRevisions=true")
    assert int(r.json["checksum"]) == total, (r, total)
    r = c.get(f"/_api/collection/{COLLECTION}/count")
    assert r.json["count"] == len(docs), (r, len(docs))


def phase(c, power_cuts):
    rng = random.Random(SEED + power_cuts)
    r = c.post("/_api/collection", {"name": COLLECTION, "numberOfShards": 3,
                                    "replicationFactor": 2})
    assert r.status == 200, r
    stop = threading.Event()
    writers = [Writer(c, i, power_cuts, stop) for i in range(WRITERS)]
    for w in writers:
        w.start()
    try:
        log = disturb(c, rng, SECONDS, power_cuts)
    finally:
        stop.set()
        for w in writers:
            w.join(120)
    print("# " + ", ".join(log))
    print("# seed %d: %d writes acknowledged, %d unknown" % (
        SEED, sum(w.acked for w in writers), sum(w.unknown for w in writers)))
    for w in writers:
        if w.trouble is not None:
            raise w.trouble
        assert not w.is_alive(), "a writer hangs"
    assert sum(w.acked for w in writers) > 100 * WRITERS / 8
    for s in c.info()["servers"]:
        c.run("start" if s["state"] == "down" else "resume", s["name"])
    c.wait_in_sync(COLLECTION, seconds=120)
    compare(c, writers)
    assert c.delete(f"/_api/collection/{COLLECTION}").status == 200


t = Tap(2)
with Cluster(coordinators=2, dbservers=3, auth=True) as cluster:
    t.run("chaos: kills, pauses and moves lose no acknowledged write",
          phase, cluster, False)
    t.run("chaos: power cuts lose no write acknowledged with waitForSync",
          phase, cluster, True)
t.finish()
