#!/usr/bin/env python3
"""A shard pair between two clusters, without the daemon around it: the
processes tail, send and receive do the work (tests/rig).  Both ends have the
same documents, with the same _rev, whatever is killed meanwhile."""
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from sandbox import BUILD, SLOW, Cluster, Tap, wait_for

RIG = os.path.join(BUILD, "tests", "rig", "pair-rig")
SHARDS = 3


class Rig:
    """The processes between a and b; statuses as they come."""

    def __init__(self, a, b, collection, shards=SHARDS):
        self.shards = shards
        self.dir = os.path.join(a.top, "rig-" + collection)
        os.mkdir(self.dir, 0o700)
        self.log = open(os.path.join(self.dir, "log"), "w")
        self.status = {}
        self.p = subprocess.Popen(
            [RIG, self.dir, a.server("coordinator1")["endpoint"],
             b.server("coordinator1")["endpoint"], "_system", collection,
             a.secret], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.log)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.p.stdout:
            name, _, rest = line.decode().strip().partition(" {")
            self.status[name] = json.loads("{" + rest)

    def children(self, kind):
        """Process ids by the title that they gave themselves."""
        found = []
        for pid in os.listdir("/proc"):
            try:
                with open("/proc/%s/stat" % pid) as f:
                    parent = int(f.read().rpartition(")")[2].split()[1])
                with open("/proc/%s/cmdline" % pid) as f:
                    title = f.read()
            except (OSError, ValueError):
                continue
            if parent == self.p.pid and (": " + kind) in title:
                found.append(int(pid))
        return found

    def running(self):
        states = [s.get("state") for n, s in self.status.items()
                  if n.startswith("receive ")]
        return len(states) == self.shards and set(states) == {"running"}

    def stop(self):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
            try:
                self.p.wait(30 * SLOW)
            except subprocess.TimeoutExpired:
                self.p.kill()
        self.log.close()


def strip(d):
    return {k: v for k, v in d.items() if k != "_id"}


def differences(a, b, collection):
    x, y = a.documents(collection), b.documents(collection)
    bad = [k for k in x.keys() | y.keys()
           if k not in x or k not in y or strip(x[k]) != strip(y[k])]
    return len(x), bad


def wait_equal(a, b, collection, seconds=60):
    last = []

    def equal():
        n, last[:] = differences(a, b, collection)
        return not last
    try:
        wait_for(equal, "equal documents", seconds)
    except Exception:
        x, y = a.documents(collection), b.documents(collection)
        for k in last[:5]:
            print("# %s: source %s target %s" % (
                k, str(x.get(k))[:200], str(y.get(k))[:200]))
        raise AssertionError("%d documents differ" % len(last))


def make(a, b, name, **attributes):
    for c in (a, b):
        body = dict({"name": name, "numberOfShards": SHARDS,
                     "replicationFactor": 2}, **attributes)
        r = c.post("/_api/collection", body)
        assert r.status == 200, r


def bulk(c, name, first, n, size=100):
    for at in range(first, first + n, 1000):
        r = c.post("/_api/document/%s?silent=true" % name,
                   [{"_key": "k%d" % i, "n": i, "text": "x" * size}
                    for i in range(at, min(at + 1000, first + n))])
        assert r.status in (201, 202), r


class Writer:
    """Inserts, replaces, removes and truncates until stop()."""

    def __init__(self, c, name, seed):
        self.c, self.name, self.stopping = c, name, False
        self.rnd = random.Random(seed)
        self.writes = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        http = self.c.connect()
        n, base = 0, "/_api/document/%s" % self.name
        while not self.stopping:
            n += 1
            key = "w%d" % self.rnd.randrange(2000)
            what = self.rnd.random()
            if what < 0.5:
                http.post(base + "?overwriteMode=replace",
                          {"_key": key, "n": n, "deep": [{"a": [n, None]}]})
            elif what < 0.7:
                http.patch(base + "/" + key, {"more": n})
            elif what < 0.9:
                http.delete(base + "/" + key)
            elif what < 0.995:
                http.post(base + "?overwriteMode=replace",
                          [{"_key": "w%d" % self.rnd.randrange(2000), "n": n}
                           for _ in range(50)])
            else:
                http.put("/_api/collection/%s/truncate" % self.name, {})
            self.writes += 1

    def stop(self):
        self.stopping = True
        self.thread.join(60 * SLOW)
        assert not self.thread.is_alive()


def copy_and_follow(a, b):
    """What was there before, and what comes after."""
    make(a, b, "plain")
    bulk(a, "plain", 0, 20000)
    rig = Rig(a, b, "plain")
    try:
        wait_equal(a, b, "plain")
        wait_for(rig.running, "running pairs")
        bulk(a, "plain", 20000, 5000)
        r = a.put("/_api/document/plain",
                  [{"_key": "k%d" % i, "again": True} for i in range(500)])
        assert r.status in (201, 202), r
        r = a.delete("/_api/document/plain",
                     body=["k%d" % i for i in range(1000, 1500)])
        assert r.status in (200, 202), r
        wait_equal(a, b, "plain")
        n, _ = differences(a, b, "plain")
        assert n == 24500, n
    finally:
        rig.stop()


def repair(a, b):
    """A target that has other documents, some too many, some too few."""
    make(a, b, "mixed")
    bulk(a, "mixed", 0, 8000)
    bulk(b, "mixed", 4000, 8000)
    rig = Rig(a, b, "mixed")
    try:
        wait_equal(a, b, "mixed")
        wait_for(rig.running, "running pairs")
        r = a.put("/_api/collection/mixed/truncate", {})
        assert r.status == 200, r
        bulk(a, "mixed", 0, 10)
        wait_equal(a, b, "mixed")
    finally:
        rig.stop()


def large(a, b):
    """Documents of many sizes, and attributes named like a marker's."""
    make(a, b, "large")
    for i, size in enumerate((1, 1000, 300000, 2000000, 9000000, 33000000)):
        r = a.post("/_api/document/large", {"_key": "before%d" % i,
                                            "text": "y" * size})
        assert r.status in (201, 202), r
    rig = Rig(a, b, "large")
    try:
        wait_equal(a, b, "large", 90)
        wait_for(rig.running, "running pairs")
        for i, size in enumerate((1, 250000, 262144, 5000000, 33000000)):
            r = a.post("/_api/document/large",
                       {"_key": "after%d" % i, "text": "z" * size})
            assert r.status in (201, 202), r
        r = a.post("/_api/document/large", {
            "_key": "names", "tick": "1", "type": 2302, "db": "x",
            "cuid": "c1/s1", "tid": "7", "data": {"_key": "other"},
            "text": "\u00e4\u20ac\U0001F600\u2028 \"\\/\b\f\n\r\t",
            "big": 2 ** 53, "deep": json.loads("[" * 60 + "]" * 60)})
        assert r.status in (201, 202), r
        wait_equal(a, b, "large", 90)
    finally:
        rig.stop()


def unique(a, b):
    """Values that change places under a unique index."""
    make(a, b, "swap", numberOfShards=1)
    for c in (a, b):
        r = c.post("/_api/index?collection=swap", {
            "type": "persistent", "fields": ["u"], "unique": True,
            "sparse": True})
        assert r.status in (200, 201), r
    rig = Rig(a, b, "swap", shards=1)
    try:
        for i in range(100):
            a.post("/_api/document/swap", {"_key": "s%d" % i, "u": i})
        wait_equal(a, b, "swap")
        for i in range(0, 100, 2):
            for body in ([{"_key": "s%d" % i, "u": None}],
                         [{"_key": "s%d" % (i + 1), "u": i}],
                         [{"_key": "s%d" % i, "u": i + 1}]):
                r = a.patch("/_api/document/swap", body)
                assert r.status in (201, 202), r
        wait_equal(a, b, "swap")
    finally:
        rig.stop()


def killed(a, b):
    """kill -9 of each kind of process while it is written to."""
    make(a, b, "killed")
    bulk(a, "killed", 0, 5000)
    rig = Rig(a, b, "killed")
    writers = []
    try:
        wait_for(rig.running, "running pairs", 60)
        writers = [Writer(a, "killed", seed) for seed in range(3)]
        for kind in ("send", "receive", "tail") * 3:
            before = [w.writes for w in writers]
            wait_for(lambda: all(w.writes > n + 20 for w, n in
                                 zip(writers, before)), "writes")
            pids = rig.children(kind)
            assert pids, kind
            os.kill(random.Random(len(before)).choice(pids), signal.SIGKILL)
        for w in writers:
            w.stop()
        wait_equal(a, b, "killed", 90)
    finally:
        for w in writers:
            w.stopping = True
        rig.stop()


if __name__ == "__main__":
    t = Tap(5)
    with Cluster(dbservers=2, auth=True) as a, \
            Cluster(dbservers=2, auth=True) as b:
        with open(a.secret) as f, open(b.secret) as g:
            assert f.read() == g.read()
        t.run("an empty target gets a copy, then what is written",
              copy_and_follow, a, b)
        t.run("a target with other documents is repaired", repair, a, b)
        t.run("documents of all sizes and odd names arrive", large, a, b)
        t.run("unique values may change places", unique, a, b)
        t.run("nothing is lost when processes are killed", killed, a, b)
    t.finish()
