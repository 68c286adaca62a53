#!/usr/bin/env python3
"""Both ends of the inventory between two sandbox clusters: what the source has
comes to the target, whatever is killed, refused or in the way."""
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from sandbox import BUILD, SLOW, Cluster, Tap, wait_for

t = Tap(12)
PROGRAM = os.path.join(BUILD, "tests", "rig", "inventory-rig")


class Rig:
    """The process; what it said last of each kind, and all pairs messages."""

    def __init__(self, src, dst, *words):
        self.p = subprocess.Popen(
            [PROGRAM, src.server("coordinator1")["endpoint"],
             dst.server("coordinator1")["endpoint"], "secret", src.secret,
             *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.last = {"source": {}, "target": {}, "pairs": {}}
        self.told = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.p.stdout:
            what, _, text = line.decode().partition(" ")
            if what not in self.last:
                continue
            o = json.loads(text)
            if what == "pairs":
                self.told.append((time.monotonic(), o))
            self.last[what] = o

    def pairs(self, o=None):
        o = o or self.last["pairs"]
        return {f"{p['db']}/{p['coll']}": p for p in o.get("pairs", [])}

    def settled(self):
        """Everything of the newest Plan is done."""
        s = self.last["target"]
        return (s.get("state") == "running" and s["pending"] == 0 and
                s["plan"] == s["source_plan"] ==
                self.last["source"].get("plan") and
                self.last["pairs"].get("plan") == s["plan"])

    def wait(self, seconds=40):
        wait_for(self.settled, f"settled: {self.last}", seconds)

    def wait_for_plan(self, cluster, seconds=40):
        """... and it is at least the Plan of now."""
        v = cluster.agency("/arango/Plan/Version")
        wait_for(lambda: self.settled() and self.last["target"]["plan"] >= v,
                 f"version {v}: {self.last}", seconds)

    def end(self):
        self.p.stdin.close()
        assert self.p.wait(timeout=20) == 0, self.p.returncode
        self.thread.join()

    def kill(self):
        self.p.kill()
        self.p.wait()
        self.thread.join()


def ok(r):
    assert r.status in (200, 201, 202), r
    return r


def make(c, db, name, **kw):
    return ok(c.post(f"/_db/{db}/_api/collection", dict(name=name, **kw))).json


def drop(c, db, name):
    ok(c.delete(f"/_db/{db}/_api/collection/{name}"))


def plan(c, db, system=False):
    return {v["name"]: v for v in
            (c.agency(f"/arango/Plan/Collections/{db}") or {}).values()
            if system or v["name"][0] != "_"}


SAME = ("type", "numberOfShards", "shardKeys", "shardingStrategy",
        "replicationFactor", "writeConcern", "waitForSync", "schema",
        "keyOptions", "cacheEnabled")


def index_view(c):
    drop_these = ("id", "objectId", "inBackground", "isNewlyCreated")
    return sorted(json.dumps({k: v for k, v in i.items()
                              if k not in drop_these}, sort_keys=True)
                  for i in c["indexes"])


def names(c):
    return sorted(n for n in c.agency("/arango/Plan/Databases"))


def compare(src, dst):
    assert names(src) == names(dst), (names(src), names(dst))
    for db in names(src):
        a, b = plan(src, db), plan(dst, db)
        assert sorted(a) == sorted(b), (db, sorted(a), sorted(b))
        for n in a:
            for k in SAME:
                assert a[n].get(k) == b[n].get(k), (db, n, k, a[n].get(k),
                                                    b[n].get(k))
            assert index_view(a[n]) == index_view(b[n]), (db, n)
            like = a[n].get("distributeShardsLike")
            if like:
                of = {v["id"]: k for k, v in plan(src, db, True).items()}
                to = {v["id"]: k for k, v in plan(dst, db, True).items()}
                assert of[like] == to[b[n]["distributeShardsLike"]], n


def fill(src, dst):
    ok(src.post("/_api/database", {"name": "shop"}))
    ok(src.post("/_api/database", {"name": "other"}))
    make(src, "shop", "orders", numberOfShards=3, replicationFactor=2)
    make(src, "shop", "knows", type=3, distributeShardsLike="orders")
    make(src, "shop", "bykey", numberOfShards=4, shardKeys=["a", "b"],
         shardingStrategy="hash")
    make(src, "shop", "old", numberOfShards=2,
         shardingStrategy="community-compat")
    make(src, "shop", "odd", waitForSync=True, keyOptions={
        "type": "traditional", "allowUserKeys": False},
        schema={"rule": {"type": "object"}, "level": "moderate",
                "message": "no"})
    for body in ({"type": "persistent", "fields": ["x", "y"], "name": "xy"},
                 {"type": "persistent", "fields": ["u"], "unique": True,
                  "sparse": True, "name": "uniq"},
                 {"type": "geo", "fields": ["loc"], "geoJson": True},
                 {"type": "ttl", "fields": ["at"], "expireAfter": 3600}):
        r = src.post("/_db/shop/_api/index?collection=odd", body)
        assert r.status in (200, 201), (body, r)
    # the sandbox has no views, its agency takes anything
    ok(src.connect("agent1").post("/_api/agency/write", [[{
        "/arango/Plan/Views/shop/4711": {"op": "set", "new": {
            "name": "see", "id": "4711", "type": "arangosearch"}},
        "/arango/Plan/Version": {"op": "increment"}}]]))
    make(src, "_system", "plain")
    # at the target: fits, does not fit, is too much
    ok(dst.post("/_api/database", {"name": "shop"}))
    make(dst, "shop", "orders", numberOfShards=3, replicationFactor=1)
    make(dst, "shop", "old", numberOfShards=5)
    make(dst, "shop", "surplus")
    ok(dst.post("/_api/database", {"name": "gone"}))
    ok(dst.put("/_admin/server/mode", {"mode": "readonly"}))


def first(src, dst, rig):
    fill(src, dst)
    old = plan(dst, "shop")
    rig.append(Rig(src, dst, "first"))
    r = rig[0]
    wait_for(lambda: len(r.pairs()) >= 5, "pairs before the drops")
    # what must be dropped for it waits ten seconds; the others do not
    assert "shop/old" not in r.pairs(), r.pairs()
    assert plan(dst, "shop")["surplus"], "dropped at once"
    r.wait()
    compare(src, dst)
    pairs = r.pairs()
    want = {"shop/orders", "shop/knows", "shop/bykey", "shop/old", "shop/odd",
            "_system/plain"}
    assert set(pairs) == want, set(pairs)
    new = plan(dst, "shop")
    assert new["orders"]["id"] == old["orders"]["id"], "not adopted"
    assert new["old"]["id"] != old["old"]["id"]
    for n, p in pairs.items():
        assert p["lineage"] == (n != "shop/orders"), p
        db, c = n.split("/")
        assert p["cid"] == plan(src, db)[c]["id"], p
        assert p["target_cid"] == plan(dst, db)[c]["id"], p
        assert p["shards"] == plan(src, db)[c]["numberOfShards"], p
    notes = " ".join(r.last["target"]["notes"])
    assert "shop/see" in notes and "_users" in notes, notes
    assert r.last["pairs"]["notes"] == r.last["target"]["notes"]


def quick(src, dst, rig):
    r = rig[0]
    for i in range(3):
        name = f"shop/quick{i}"
        began = time.monotonic()
        make(src, "shop", f"quick{i}", numberOfShards=2)
        wait_for(lambda: name in r.pairs(), name, 10)
        took = time.monotonic() - began
        assert took < 2.5 * SLOW, took
        time.sleep(0.3)
    r.wait_for_plan(src)


def changes(src, dst, rig):
    r = rig[0]
    ok(src.put("/_db/shop/_api/collection/odd/properties",
               {"schema": None, "waitForSync": False}))
    ok(src.put("/_db/shop/_api/collection/orders/properties",
               {"replicationFactor": 1}))
    ok(src.delete("/_db/shop/_api/index/odd/xy"))
    ok(src.post("/_db/shop/_api/index?collection=odd",
                {"type": "persistent", "fields": ["y"], "name": "xy"}))
    ok(src.delete("/_db/shop/_api/index/odd/uniq"))
    r.wait_for_plan(src)
    compare(src, dst)


def again(src, dst, rig):
    """Dropped and made again under one name: another collection here, and
    control knew before it was dropped."""
    r = rig[0]
    was = r.pairs()["shop/bykey"]
    drop(src, "shop", "bykey")
    make(src, "shop", "bykey", numberOfShards=4, shardKeys=["a", "b"],
         shardingStrategy="hash")
    seen = []

    def watch():
        there = any(v["id"] == was["target_cid"]
                    for v in plan(dst, "shop").values())
        if not there:
            seen.append(time.monotonic())
        return not there
    wait_for(watch, "dropped")
    r.wait_for_plan(src)
    compare(src, dst)
    now = r.pairs()["shop/bykey"]
    assert now["cid"] != was["cid"] and now["target_cid"] != was["target_cid"]
    assert now["lineage"], now
    without = [when for when, o in r.told if "shop/bykey" not in r.pairs(o)
               and when > r.told[0][0] + 1]
    assert without and without[-1] < seen[0], (without, seen)


def made_here(src, dst, rig):
    """What somebody drops at the target comes again."""
    r = rig[0]
    was = r.pairs()["shop/quick1"]
    drop(dst, "shop", "quick1")
    wait_for(lambda: r.pairs().get("shop/quick1", was)["target_cid"] !=
             was["target_cid"], "made again", 15)
    assert r.pairs()["shop/quick1"]["lineage"]
    compare(src, dst)
    # and the records are those of what is there
    def records():
        rec = dst.agency("/arangodb/arangosync/x/made-from")
        return {k: v["cid"] for k, v in rec.items()} == {
            p["target_cid"]: p["cid"] for p in r.pairs().values()}
    wait_for(records, "records")


def trouble(src, dst, rig):
    """An index that cannot be made stops nothing else."""
    r = rig[0]
    for k in ("1", "2"):
        ok(dst.post("/_db/shop/_api/document/quick2", {"_key": k, "v": 1}))
    make(src, "shop", "unrelated")
    ok(src.post("/_db/shop/_api/index?collection=quick2",
                {"type": "persistent", "fields": ["v"], "unique": False,
                 "name": "fine"}))
    r.wait_for_plan(src)
    drop(src, "shop", "quick2")
    make(src, "shop", "quick2", numberOfShards=1)
    r.wait_for_plan(src)
    for k in ("1", "2"):
        ok(dst.post("/_db/shop/_api/document/quick2", {"_key": k, "v": 1}))
    ok(src.post("/_db/shop/_api/index?collection=quick2",
                {"type": "persistent", "fields": ["v"], "unique": True,
                 "name": "cannot"}))
    make(src, "shop", "afterwards")
    wait_for(lambda: "shop/afterwards" in r.pairs(), "the others", 15)
    wait_for(lambda: r.last["target"].get("troubles"), "trouble", 15)
    s = r.last["target"]
    assert s["pending"] == 1 and "cannot" in s["troubles"][0]["step"], s
    assert not s["troubles"][0]["refused"], s
    assert s["plan"] < s["source_plan"], s
    ok(dst.delete("/_db/shop/_api/document/quick2/2"))
    r.wait_for_plan(src)
    compare(src, dst)


def killed(src, dst, rig):
    """Killed in the midst: the next one goes on, and drops nothing."""
    r = rig[0]
    ok(src.post("/_api/database", {"name": "many"}))
    for i in range(40):
        make(src, "many", f"c{i}", numberOfShards=2)
        if i % 13 == 5:
            r.kill()
            r = rig[0] = Rig(src, dst)
    r.wait_for_plan(src)
    compare(src, dst)
    ids = {n: p["target_cid"] for n, p in r.pairs().items()}
    lineage = {n: p["lineage"] for n, p in r.pairs().items()}
    r.kill()
    r = rig[0] = Rig(src, dst)
    r.wait()
    assert {n: p["target_cid"] for n, p in r.pairs().items()} == ids
    assert {n: p["lineage"] for n, p in r.pairs().items()} == lineage
    # never fewer in between than there are
    assert all(len(o["pairs"]) == len(ids) for _, o in r.told), "flapping"


def agents(src, dst, rig):
    r = rig[0]
    for c, who in ((src, "source"), (dst, "target")):
        c.run("kill", "agent1")
        if who == "source":
            wait_for(lambda: r.last["source"].get("error"), "complaint", 60)
            assert r.last["source"]["state"] == "running", r.last["source"]
        else:
            time.sleep(2)
        c.run("start", "agent1")
        # clusters know of it in their own time
        wait_for(lambda: c.post(f"/_db/shop/_api/collection",
                                {"name": f"after{who}"}).status == 200,
                 "a cluster that works", 60)
        if who == "target":
            drop(dst, "shop", "aftertarget")
            make(src, "shop", "aftertarget")
        wait_for(lambda: f"shop/after{who}" in r.pairs(), who, 30)
    wait_for(lambda: not r.last["source"].get("error"), "no complaint")
    r.wait_for_plan(src)
    compare(src, dst)


def mass(src, dst, rig):
    """More than half gone: waits for a word."""
    r = rig[0]
    for i in range(40):
        drop(src, "many", f"c{i}")
    # more than half of all
    for n in list(plan(src, "shop")):
        if n not in ("orders", "knows"):
            drop(src, "shop", n)
    wait_for(lambda: "mass-drop" in r.last["target"].get("error", ""),
             "guard", 40)
    make(src, "shop", "meanwhile")
    wait_for(lambda: "shop/meanwhile" in r.pairs(), "the others", 15)
    time.sleep(12)
    assert len(plan(dst, "many")) == 40, len(plan(dst, "many"))
    assert r.last["target"]["pending"] > 40, r.last["target"]
    r.kill()
    r = rig[0] = Rig(src, dst, "mass")
    r.wait_for_plan(src)
    compare(src, dst)


def databases(src, dst, rig):
    r = rig[0]
    ok(src.delete("/_api/database/many"))
    ok(src.post("/_api/database", {"name": "one", "options": {
        "sharding": "single"}}))
    make(src, "one", "x")
    wait_for(lambda: "one/x" in r.pairs(), "one/x", 15)
    assert "many" in names(dst), "dropped at once"
    r.wait_for_plan(src)
    compare(src, dst)


def pinned(src, dst, rig):
    rig[0].end()
    before = plan(dst, "shop")
    r = Rig(src, dst, "pin", "another-cluster")
    wait_for(lambda: r.last["target"].get("state") == "failed", "failed")
    assert "another-cluster" in r.last["target"]["error"]
    assert not r.told
    r.end()
    # the target itself as its own source
    r = Rig(dst, dst)
    wait_for(lambda: r.last["target"].get("state") == "failed", "failed")
    r.end()
    assert plan(dst, "shop") == before


def first_again(src, dst, rig):
    """Configured once more: nothing is made anew, no lineage counts."""
    before = plan(dst, "shop")
    r = Rig(src, dst, "first")
    r.wait()
    assert plan(dst, "shop").keys() == before.keys()
    assert all(plan(dst, "shop")[n]["id"] == before[n]["id"] for n in before)
    assert r.pairs() and not any(p["lineage"] for p in r.pairs().values())
    r.end()


def main():
    rig = []
    with Cluster(dbservers=3, auth=True) as src, \
            Cluster(dbservers=2, auth=True, coordinators=2) as dst:
        for what, fn in (
                ("a first plan makes, adopts and drops", first),
                ("a new collection is there within seconds", quick),
                ("properties and indexes follow", changes),
                ("dropped and made again is another one", again),
                ("what is dropped at the target comes again", made_here),
                ("one index that fails stops nothing else", trouble),
                ("killed in the midst", killed),
                ("agents away", agents),
                ("a mass drop waits", mass),
                ("databases come and go", databases),
                ("another source changes nothing", pinned),
                ("configured again", first_again)):
            t.run(what, fn, src, dst, rig)
        for r in rig:
            if r.p.poll() is None:
                r.kill()
    t.finish()


main()
