#!/usr/bin/env python3
"""The client library against a sandbox cluster: each call once; then it
rebuilds a collection from snapshots and logs while writers write, servers die
and come back, and power goes."""
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from sandbox import BUILD, SLOW, Cluster, Tap, wait_for

t = Tap(3)
PROGRAM = os.path.join(BUILD, "tests", "e2e", "tail_client")


def api(c):
    r = subprocess.run([PROGRAM, "api", c.server("coordinator1")["endpoint"],
                        c.secret], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, timeout=120 * SLOW)
    lines = r.stdout.decode().splitlines()
    for line in lines:
        print("# " + line)
    assert r.returncode == 0, r
    assert lines[-1] == "done", lines[-1:]
    assert not [x for x in lines if x.startswith("not ok")]
    assert len(lines) > 60, len(lines)


class Follower:
    def __init__(self, c, collection):
        self.p = subprocess.Popen(
            [PROGRAM, "follow", c.server("coordinator1")["endpoint"],
             c.secret, "_system", collection], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        line = self.p.stdout.readline()
        assert line == b"following\n", line

    def finish(self):
        out, _ = self.p.communicate(timeout=60 * SLOW)
        assert self.p.returncode == 0, self.p.returncode
        found = {}
        for line in out.splitlines():
            d = json.loads(line)
            assert d["_key"] not in found, d["_key"]
            found[d["_key"]] = d
        return found

    def kill(self):
        self.p.kill()
        self.p.communicate()


class Writers:
    """Documents of all kinds until stop(); failures are retried by luck."""

    def __init__(self, c, collection, count, patient=False):
        self.c, self.coll, self.patient = c, collection, patient
        self.over = threading.Event()
        self.errors, self.done = [], 0
        self.threads = [threading.Thread(target=self.body, args=(n,))
                        for n in range(count)]
        for x in self.threads:
            x.start()

    def body(self, number):
        h = self.c.connect(timeout=20)
        try:
            self.write(number, h)
        except BaseException as e:
            self.errors.append(e)
        finally:
            h.close()

    def one(self, call, *args):
        try:
            r = call(*args)
        except Exception:
            if not self.patient:
                raise
            time.sleep(0.1)
            return
        assert r.status in (200, 201, 202, 404) or self.patient, r
        self.done += 1

    def write(self, number, h):
        rng = random.Random(number)
        path = f"/_api/document/{self.coll}"
        i = 0
        while not self.over.is_set():
            i += 1
            k = f"{number}-{rng.randrange(300)}"
            what = rng.random()
            if what < 0.4:
                self.one(h.post, path + "?overwriteMode=replace",
                         {"_key": k, "i": i, "text": "x" * rng.randrange(500),
                          "cuid": "c1/s1", "type": 2302, "tick": "1"})
            elif what < 0.5:
                self.one(h.post, path + "?overwriteMode=replace",
                         [{"_key": f"{number}-{rng.randrange(300)}",
                           "list": [i, {"a": "\"}\n{\\"}], "ü": "\u20ac"}
                          for _ in range(30)])
            elif what < 0.7:
                self.one(h.patch, f"{path}/{k}", {"patched": i})
            elif what < 0.95:
                self.one(h.delete, f"{path}/{k}")
            elif what < 0.953:
                self.one(h.put, f"/_api/collection/{self.coll}/truncate", {})

    def stop(self):
        self.over.set()
        for x in self.threads:
            x.join()
        if self.errors:
            raise self.errors[0]
        assert self.done > 100, self.done


def compare(c, collection, found):
    want = c.documents(collection)
    missing = [k for k in want if k not in found]
    surplus = [k for k in found if k not in want]
    other = [k for k in want if k in found and want[k] != found[k]]
    assert not missing and not surplus and not other, \
        (len(want), missing[:3], surplus[:3], other[:3])


def create(c, name):
    r = c.post("/_api/collection", {"name": name, "numberOfShards": 4,
                                    "replicationFactor": 2})
    assert r.status == 200, r


def quiet(c):
    create(c, "quiet")
    f = Follower(c, "quiet")
    try:
        w = Writers(c, "quiet", 4)
        time.sleep(3)
        w.stop()
        compare(c, "quiet", f.finish())
        print(f"# {w.done} requests")
    finally:
        f.kill()


def leaders(c, name):
    return [(s or [""])[0] for s in c.shards(name).values()]


def troubled(c):
    create(c, "troubled")
    c.wait_in_sync("troubled")
    f = Follower(c, "troubled")
    try:
        w = Writers(c, "troubled", 3, patient=True)
        for what, name, long in (("kill", "dbserver1", True),
                                 ("power-cut", "dbserver2", False),
                                 ("kill", "dbserver3", False)):
            time.sleep(1)
            ident = c.server(name)["id"]
            c.run(what, name)
            if long:        # others take over
                wait_for(lambda: ident not in leaders(c, "troubled"),
                         "fail-over", 60)
            c.run("start", name)
            c.wait_in_sync("troubled")
        w.stop()
        c.wait_in_sync("troubled")
        compare(c, "troubled", f.finish())
        print(f"# {w.done} requests")
    finally:
        f.kill()


with Cluster(coordinators=2, dbservers=3, auth=True) as cluster:
    t.run("every call of the client once", api, cluster)
    t.run("a collection is rebuilt while it is written", quiet, cluster)
    t.run("over deaths, fail-overs and a power cut", troubled, cluster)
t.finish()
