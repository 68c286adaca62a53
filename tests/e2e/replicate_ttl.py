#!/usr/bin/env python3
"""TTL indexes: what expires at the source goes at the target, and nothing goes
at the target that the source keeps - also when a server is started again, or
read-only mode is interrupted.  When it is over, the target expires again."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import good, insert, make, make_database
from sandbox import Http, wait_for

DB = "times"


def ttl(cluster, **properties):
    """Of every DB-server; what they say afterwards."""
    said = []
    for name in ("dbserver1", "dbserver2"):
        h = Http(cluster.server(name)["endpoint"], cluster.token())
        r = h.put("/_api/ttl/properties", properties) if properties else \
            h.get("/_api/ttl/properties")
        said.append(good(r).json["result"])
        h.close()
    return said


def count(cluster, name="docs"):
    return good(cluster.get(f"/_db/{DB}/_api/collection/{name}/count")).json["count"]


def put(p, first, n, stamp):
    insert(p.a, DB, "docs", [{"_key": f"d{i}", "at": stamp} for i in
                             range(first, first + n)])


def begin(p):
    """The source keeps what could go: its switch is off."""
    assert [x["frequency"] for x in ttl(p.a)] == [30000, 30000]
    ttl(p.a, active=False, frequency=200)
    make_database(p.a, DB)
    make(p.a, DB, "docs", 3, 2)
    good(p.a.post(f"/_db/{DB}/_api/index?collection=docs",
                  {"type": "ttl", "fields": ["at"], "expireAfter": 10}))
    put(p, 0, 100, time.time() - 3600)
    put(p, 100, 100, "2020-02-29T12:00:00.500Z")
    # what never goes: no time, a later one, one before 1970
    insert(p.a, DB, "docs", [{"_key": "a"}, {"_key": "b", "at": "soon"},
                             {"_key": "c", "at": time.time() + 3600},
                             {"_key": "d", "at": -5}, {"_key": "e", "at": None}])
    p.configure()
    p.wait_running(45)
    p.wait_equal(20)


def target_keeps_them(p):
    wait_for(lambda: not any(x["active"] for x in ttl(p.b)), "TTL is off", 15)
    ttl(p.b, frequency=200)
    put(p, 200, 100, 1)
    time.sleep(2)
    p.wait_equal(20)
    assert count(p.b) == 305, count(p.b)


def server_restarted(p):
    """Its switch is on again; read-only mode holds until it is off."""
    p.b.run("kill", "dbserver1")
    p.b.run("start", "dbserver1")

    def off():
        try:
            return not any(x["active"] for x in ttl(p.b))
        except (AssertionError, OSError):
            return False
    wait_for(off, "TTL is off again", 40)
    ttl(p.b, frequency=200)
    time.sleep(1)
    p.wait_running(40)
    p.wait_equal(20)
    assert count(p.b) == 305


def expire_at_the_source(p):
    ttl(p.a, active=True)
    wait_for(lambda: count(p.a) == 5, "the source expires", 30)
    p.wait_equal(30)
    assert count(p.b) == 5
    # new ones come and go, while others stay
    for i in range(5):
        put(p, 1000 + i * 50, 50, time.time() - 11)
    wait_for(lambda: count(p.a) == 5, "the source expires", 30)
    p.wait_equal(30)


def bounds(p):
    """What a run may remove."""
    ttl(p.a, active=False)
    put(p, 5000, 600, 5)
    ttl(p.a, maxTotalRemoves=100, maxCollectionRemoves=30, frequency=1000)
    n = count(p.a)
    assert n == 605, n
    ttl(p.a, active=True)
    wait_for(lambda: count(p.a) < 605, "the first ones go", 20)
    ttl(p.a, active=False)
    left = count(p.a)
    assert 605 - 3 * 200 <= left < 605, left
    # replaced after the look-up or before: it stays
    r = p.a.patch(f"/_db/{DB}/_api/document/docs/d5599", {"at": time.time() + 3600})
    ttl(p.a, active=True, maxTotalRemoves=1000000, maxCollectionRemoves=100000,
        frequency=200)
    stay = 5 + (r.status in (200, 201, 202))
    wait_for(lambda: count(p.a) == stay, "the others go", 30)
    p.wait_equal(30)


def on_again_when_stopped(p):
    ttl(p.a, active=False)
    put(p, 9000, 50, 7)
    p.wait_equal(20)
    n = count(p.a)
    p.stop()
    assert all(x["active"] for x in ttl(p.b))
    wait_for(lambda: count(p.b) == n - 50, "the target expires by itself", 30)
    assert count(p.a) == n


run_all("ttl", [begin, target_keeps_them, server_restarted, expire_at_the_source,
                bounds, on_again_when_stopped], Pair(dbservers=2), 150)
