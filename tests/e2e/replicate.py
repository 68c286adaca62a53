#!/usr/bin/env python3
"""From two clusters to one and its copy: structure and documents made before
and after `configure sync`, writers, comparing, stopping, beginning again.  Part
of make check; both sides are compared document by document."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, Root, compare, run_all
from load import (Writer, corners, fill, fill_edges, good, insert, make,
                  make_database)
from sandbox import wait_for


def filled_before(p):
    """Three databases, 1 to 9 shards, 1 to 3 copies."""
    make(p.a, "_system", "plain", 1, 1)
    fill(p.a, "_system", "plain", 500)
    for db in ("shop", "geo"):
        make_database(p.a, db)
    make(p.a, "shop", "orders", 9, 2)
    make(p.a, "shop", "links", 3, 1, type=3)
    make(p.a, "shop", "corners", 2, 3)
    make(p.a, "shop", "empty", 4, 1)
    make(p.a, "shop", "unique", 1, 2)
    good(p.a.post("/_db/shop/_api/index?collection=unique",
                  {"type": "persistent", "fields": ["u"], "unique": True,
                   "sparse": True, "name": "one_u"}))
    good(p.a.post("/_db/shop/_api/index?collection=orders",
                  {"type": "persistent", "fields": ["n", "s"], "name": "n_s"}))
    fill(p.a, "shop", "orders", 8000)
    fill_edges(p.a, "shop", "links", 3000, "orders")
    insert(p.a, "shop", "corners", corners())
    make(p.a, "geo", "big", 2, 1)
    fill(p.a, "geo", "big", 300, size=20000)
    # what the target has and the source has not is to go
    make_database(p.b, "old")
    make(p.b, "old", "rest", 2, 1)
    fill(p.b, "old", "rest", 50)
    make_database(p.b, "shop")
    make(p.b, "shop", "orders", 3, 1)
    fill(p.b, "shop", "orders", 100, prefix="stale")
    found = compare(p.a, p.b)
    assert found.n > 5, "the comparison sees no differences"


def configure(p):
    r = p.configure()
    assert "Synchronization activated." in r.out, r
    wait_for(lambda: p.read_only(p.b), "the target is read-only", 5)
    assert not p.read_only(p.a)
    assert p.status()["status"] in ("initializing", "initial-sync", "running")
    p.configure()               # again changes nothing
    p.wait_running(45)
    p.wait_equal(20)


def target_is_read_only(p):
    """For applications; the daemon's own credentials are of a superuser."""
    h = Root(p.b).connect()
    r = h.post("/_db/shop/_api/document/orders", {"_key": "no"})
    assert r.status == 403 and r.error == 1004, r
    r = h.post("/_db/shop/_api/collection", {"name": "no"})
    assert r.status == 403, r


def filled_after(p):
    make_database(p.a, "later")
    make(p.a, "later", "new", 5, 2)
    make(p.a, "later", "edges", 2, 1, type=3)
    fill(p.a, "later", "new", 5000)
    fill_edges(p.a, "later", "edges", 2000, "new")
    fill(p.a, "shop", "orders", 4000, prefix="after")
    fill(p.a, "shop", "empty", 100)
    insert(p.a, "later", "new", corners())
    p.wait_running(45)
    p.wait_equal(30)


def writer(p):
    where = [("shop", "orders"), ("shop", "empty"), ("later", "new"),
             ("_system", "plain")]
    with Writer(p.a, where, seed=7, unique=("shop", "unique"),
                truncate=[("shop", "empty")]) as w:
        wait_for(lambda: w.taken > 400 and len(w.by_kind) >= 8, "writes", 30)
        w.stop()
    print("# " + w.told())
    p.wait_equal(30)


def dropped(p):
    good(p.a.delete("/_db/geo/_api/collection/big"))
    good(p.a.delete("/_api/database/geo"))
    p.wait_equal(40)


def status_for_people(p):
    p.wait_running(20)
    r = p.command("get", "status")
    assert r.code == 0 and r.out.startswith("All shards are running.\n"), r
    r = p.command("get", "status", "--verbose")
    assert "shop" in r.out and "orders" in r.out, r
    r = p.command("get", "tasks")
    assert r.code == 0 and "receive-shard" in r.out, r
    r = p.command("get", "status", at=p.ma)
    assert r.code == 0 and "Outgoing to" in r.out, r
    r = p.command("get", "tasks", at=p.ma)
    assert r.code == 0 and "send-shard" in r.out, r


def status_for_programs(p):
    s = p.status()
    assert s["source"] == [p.source_url], s["source"]
    assert s["shardsCount"] == s["totalShardsCount"] == len(s["shards"]), s
    for x in s["shards"]:
        assert x["status"] == "running" and x["shard_master_known"] is True, x
        for k in ("last_message", "last_data_change", "last_shard_master_change"):
            assert x[k].endswith("Z"), x
    r = p.mb.get("/_api/sync?details=short").json
    assert "shards" not in r and r["shardsCount"] == s["shardsCount"], r
    o = p.status(p.ma)["outgoing"]
    assert len(o) == 1 and o[0]["status"] == "running", o
    assert p.mb.url in o[0]["endpoint"], o
    assert p.status(p.ma)["status"] in ("", "inactive")
    # what operators and their tools look at in the agency
    a = p.a.agency("/arangodb/arangosync/synchronizationState")
    b = p.b.agency("/arangodb/arangosync/synchronizationState")
    assert b["incoming"]["state"] == "running", b
    assert o[0]["id"] in a["outgoing"]["targets"], a
    r = p.mb.get("/_api/sync/shards").json["datacenters"]
    assert len(r) == 2 and set(r[0]["databases"]) == set(r[1]["databases"]), r


def check(p):
    p.check_sync()
    # somebody with the secret of the target writes past the read-only mode
    h, shard = p.leader_of(p.b, "shop", "orders", 4)
    good(h.post(f"/_db/shop/_api/document/{shard}", {"_key": "foreign"}))
    r = p.command("check", "sync")
    assert r.code == 3 and "DIFFERENT" in r.out, r
    bad = [x for x in r.out.splitlines() if "DIFFERENT" in x]
    assert len(bad) == 1 and "orders" in bad[0] and " 4 " in bad[0], r
    assert "whole data is the same" not in r.out, r
    # what differs is repaired
    wait_for(lambda: p.command("check", "sync").code == 0, "the same again", 30)
    assert h.get(f"/_db/shop/_api/document/{shard}/foreign").status == 404
    p.check_sync()


def stop(p):
    fill(p.a, "shop", "orders", 2000, prefix="last")
    p.stop()
    assert not p.read_only(p.a) and not p.read_only(p.b)
    assert p.assert_equal(20000) >= 20000
    for m in p.masters:
        wait_for(lambda: set(m.children()) == {"control", "api"},
                 "nothing but control and api is left", 15)
    r = p.command("stop", "sync")
    assert r.code == 0 and "inactive already" in r.out, r
    # both are clusters of their own again
    good(p.b.post("/_db/shop/_api/document/orders", {"_key": "mine"}))
    good(p.a.post("/_db/shop/_api/document/orders", {"_key": "theirs"}))


def again(p):
    """What was written at the target meanwhile is gone on both sides."""
    h, shard = p.leader_of(p.b, "later", "new", 1)
    good(h.post(f"/_db/later/_api/document/{shard}", {"_key": "volatile"}))
    good(p.b.delete("/_db/shop/_api/document/orders/d5"))
    p.configure()
    p.wait_running(45)
    p.wait_equal(20)
    p.stop()
    p.assert_equal(20000)


run_all("replicate", [filled_before, configure, target_is_read_only,
                      filled_after, writer, dropped, status_for_people,
                      status_for_programs, check,
                      stop, again], Pair(), 150)
