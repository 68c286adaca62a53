#!/usr/bin/env python3
"""A day in the life of a cluster with credentials: structure, documents,
failover, the log.  Part of make check."""
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from sandbox import Cluster, Http, Tap, basic, jwt, superuser, wait_for

t = Tap(13)


def credentials(c):
    url = c.server("coordinator1")["endpoint"]
    assert Http(url).get("/_api/version").status == 401
    assert Http(url, basic("root", "wrong")).get("/_api/version").status == 401
    assert Http(url, basic("root", "geheim")).get("/_api/version").status == 200
    r = Http(url).post("/_open/auth", {"username": "root", "password": "geheim"})
    assert r.status == 200, r
    assert Http(url).get("/_open/auth").status == 405
    assert Http(url, "bearer " + r.json["jwt"]).get("/_api/version").status == 200
    assert Http(url, superuser()).get("/_api/version").status == 200
    assert Http(url, superuser("another secret")).get("/_api/version").status == 401
    assert Http(url, superuser(seconds=-5)).get("/_api/version").status == 401
    # DB-servers and the agent know no users.
    for name in ("dbserver1", "agent1"):
        url = c.server(name)["endpoint"]
        assert Http(url, basic("root", "geheim")).get("/_api/version").status == 401
        user = jwt({"iss": "arangodb", "preferred_username": "root",
                    "exp": time.time() + 100})
        assert Http(url, "bearer " + user).get("/_api/version").status == 401
        assert Http(url, superuser()).get("/_api/version").status == 200


def structure(c):
    r = c.post("/_api/database", {"name": "shop"})
    assert (r.status, r.json["result"]) == (201, True), r
    assert c.post("/_api/database", {"name": "shop"}).error == 1207
    assert "shop" in c.get("/_api/database").json["result"]
    r = c.post("/_db/shop/_api/collection",
               {"name": "orders", "numberOfShards": 3, "replicationFactor": 2,
                "waitForSync": False})
    assert r.status == 200 and r.json["numberOfShards"] == 3, r
    r = c.post("/_db/shop/_api/collection",
               {"name": "links", "type": 3, "numberOfShards": 2})
    assert r.status == 200 and r.json["type"] == 3, r
    assert c.get("/_db/nowhere/_api/collection").error == 1228
    assert c.get("/_db/shop/_api/collection/none/count").error == 1203
    c.wait_in_sync("orders", "shop")


def documents(c):
    p = "/_db/shop/_api/document/orders"
    r = c.post(p, {"_key": "one", "a": 1})
    assert r.status == 202 and r.json["_id"] == "orders/one", r
    assert c.post(p, {"_key": "one"}).error == 1210
    r = c.get(p + "/one")
    assert r.json["a"] == 1 and r.headers["etag"] == '"%s"' % r.json["_rev"], r
    r = c.patch(p + "/one", {"b": {"x": None}})
    assert r.status == 202 and "_oldRev" in r.json, r
    assert c.put(p + "/none", {"a": 2}).error == 1202
    assert c.post(p, {"_key": "a b"}).error == 1221
    assert c.post(p, b"{ 1: 2 }").error == 600
    docs = [{"_key": "k%d" % i, "i": i} for i in range(2000)] + [{"_key": 7}]
    r = c.post(p, docs)
    assert r.status == 202 and len(r.json) == 2001, r.status
    assert [x["_key"] for x in r.json[:2000]] == [d["_key"] for d in docs[:2000]]
    assert r.json[2000]["errorNum"] == 1221
    assert json.loads(r.headers["x-arango-error-codes"]) == {"1221": 1}
    r = c.delete(p, ["k0", {"_key": "k1"}, "absent"])
    assert [x.get("errorNum", 0) for x in r.json] == [0, 0, 1202], r
    r = c.post("/_db/shop/_api/document/links", {"_from": "orders/one"})
    assert r.error == 1233, r
    r = c.post("/_db/shop/_api/document/links",
               {"_from": "orders/one", "_to": "orders/k5"})
    assert r.status == 202, r
    assert len(c.documents("orders", "shop")) == 1999


def restore_keeps_rev(c):
    p = "/_db/shop/_api/document/orders?isRestore=true&overwriteMode=replace"
    r = c.post(p, [{"_key": "r1", "_rev": "_fw2Ytzy--_", "v": 1}])
    assert r.json[0]["_rev"] == "_fw2Ytzy--_", r
    assert c.get("/_db/shop/_api/document/orders/r1").json["_rev"] == "_fw2Ytzy--_"
    c.delete("/_db/shop/_api/document/orders/r1")


def unique_index(c):
    r = c.post("/_db/shop/_api/collection", {"name": "u"})
    assert r.status == 200, r
    r = c.post("/_db/shop/_api/index?collection=u",
               {"type": "persistent", "fields": ["v"], "unique": True})
    assert r.status == 201 and r.json["isNewlyCreated"], r
    p = "/_db/shop/_api/document/u"
    assert c.post(p, {"_key": "a", "v": 1}).status == 202
    r = c.post(p, {"_key": "b", "v": 1})
    assert r.status == 409 and r.error == 1210, r
    assert r.json["errorMessage"].endswith("conflicting key: a"), r
    assert c.patch(p + "/a", {"v": 2}).status == 202
    assert c.post(p, {"_key": "b", "v": 1}).status == 202


def transactions(c):
    db = "/_db/shop"
    r = c.post(db + "/_api/transaction/begin", {"collections": {"write": "orders"}})
    assert r.status == 201, r
    trx = r.json["result"]["id"]
    h = {"x-arango-trx-id": trx}
    for i in range(10):
        r = c.post(db + "/_api/document/orders", {"_key": "t%d" % i}, headers=h)
        assert r.status == 202, r
    assert c.get(db + "/_api/document/orders/t3").status == 404
    assert c.get(db + "/_api/document/orders/t3", headers=h).status == 200
    assert c.put(db + f"/_api/transaction/{trx}").json["result"]["status"] == "committed"
    assert c.get(db + "/_api/document/orders/t3").status == 200
    trx = c.post(db + "/_api/transaction/begin",
                 {"collections": {"write": ["orders"]}}).json["result"]["id"]
    h = {"x-arango-trx-id": trx}
    c.delete(db + "/_api/document/orders/t3", headers=h)
    r = c.delete(db + f"/_api/transaction/{trx}")
    assert r.json["result"]["status"] == "aborted", r
    assert c.get(db + "/_api/document/orders/t3").status == 200
    assert c.get(db + "/_api/document/orders/t3", headers=h).error in (1654, 1655)


def cursors(c):
    q = lambda text, **kw: c.post("/_db/shop/_api/cursor", {"query": text, **kw})
    n = len(c.documents("orders", "shop"))
    assert q("RETURN LENGTH(orders)").json["result"] == [n]
    r = q("FOR d IN orders SORT d._key LIMIT 5 RETURN d._key").json["result"]
    assert r == sorted(c.documents("orders", "shop"))[:5], r
    r = q("FOR d IN orders FILTER d.i == @i RETURN d", bindVars={"i": 77})
    assert [d["_key"] for d in r.json["result"]] == ["k77"], r
    r = q("FOR d IN orders RETURN d", batchSize=100, count=True)
    assert r.json["hasMore"] and r.json["count"] == n
    assert c.delete("/_db/shop/_api/cursor/" + r.json["id"]).status == 202
    assert c.put("/_db/shop/_api/cursor/" + r.json["id"]).error == 1600
    q("FOR d IN orders FILTER d.i == 77 REMOVE d IN orders")
    assert c.get("/_db/shop/_api/document/orders/k77").status == 404


def checksums(c):
    r = c.get("/_db/shop/_api/collection/orders/checksum?withData=true&withRevisions=true")
    total = 0
    for shard, servers in c.shards("orders", "shop").items():
        sums = set()
        for ident in servers:
            h = Http(c.server_of_id(ident)["endpoint"], c.token())
            s = h.get(f"/_db/shop/_api/collection/{shard}/checksum"
                      "?withData=true&withRevisions=true")
            assert s.status == 200, s
            sums.add(int(s.json["checksum"]))
        assert len(sums) == 1, (shard, sums)
        total ^= sums.pop()
    assert int(r.json["checksum"]) == total, (r, total)


def failover(c):
    shard, servers = list(c.shards("orders", "shop").items())[0]
    before = c.documents("orders", "shop")
    name = c.server_of_id(servers[0])["name"]
    c.run("kill", name)
    assert c.run("status", check=False)[0] == 1
    r = wait_for(lambda: [x for x in [c.post("/_db/shop/_api/document/orders",
                 [{"_key": "f%d" % i} for i in range(20)])]
                 if x.status == 202 and "x-arango-error-codes" not in x.headers],
                 "writes after a server died")
    for i in range(20):
        before["f%d" % i] = None
    now = c.documents("orders", "shop")
    assert set(now) == set(before), set(before) ^ set(now)
    c.run("start", name)
    c.wait_in_sync("orders", "shop")
    assert c.run("status")[0] == 0
    checksums(c)


def unknown_is_not_absent(c):
    """When nobody knows the shard of a document and the leader that has it
    dies in the middle, the other shards' "not found" is no answer."""
    r = c.post("/_api/collection", {"name": "by_region", "numberOfShards": 3,
                                    "shardKeys": ["region"],
                                    "replicationFactor": 2})
    assert r.status == 200, r
    shards = sorted(c.shards("by_region").items(), key=lambda x: int(x[0][1:]))
    for i in range(100):
        body = {"region": f"r{i}"}
        at = c.put("/_api/collection/by_region/responsibleShard", body)
        if at.json["shardId"] == shards[2][0]:
            break
    key = c.post("/_api/document/by_region", body).json["_key"]
    leader, follower = [c.server_of_id(x)["name"] for x in shards[2][1]]
    answers = []
    # The leader executes it, and waits for the follower until it is killed.
    c.run("pause", follower)
    t = threading.Thread(target=lambda: answers.append(
        c.connect(timeout=90).patch(f"/_api/document/by_region/{key}",
                                    {"a": 1})))
    t.start()
    time.sleep(0.5)
    c.run("kill", leader)
    c.run("resume", follower)
    t.join()
    c.run("start", leader)
    assert answers[0].status == 503 and answers[0].error == 1465, answers
    c.wait_in_sync("by_region")


def read_only(c):
    url = c.server("coordinator1")["endpoint"]
    root = Http(url, basic("root", "geheim"))
    assert c.put("/_admin/server/mode", {"mode": "readonly"}).status == 200
    wait_for(lambda: root.post("/_db/shop/_api/document/orders", {}).error == 1004,
             "read-only for users")
    assert c.post("/_db/shop/_api/document/orders", {"_key": "su"}).status == 202
    assert root.post("/_db/shop/_api/collection", {"name": "no"}).error == 11
    assert c.put("/_admin/server/mode", {"mode": "default"}).status == 200
    wait_for(lambda: root.post("/_db/shop/_api/document/orders",
                               {"_key": "again"}).status in (202, 409),
             "writable again")


def the_log(c):
    """Every document of a shard is in the log of its leader, by R1."""
    want = c.documents("u", "shop")
    cid = [k for k, v in c.agency("/arango/Plan/Collections/shop").items()
           if v["name"] == "u"][0]
    (shard, servers), = c.shards("u", "shop").items()
    h = Http(c.server_of_id(servers[0])["endpoint"], c.token())
    docs, pos = {}, 0
    while True:
        r = h.get(f"/_api/wal/tail?global=true&from={pos}&chunkSize=65536")
        assert r.status in (200, 204), r
        for line in r.body.splitlines():
            m = json.loads(line)
            if m.get("cuid") != f"c{cid}/{shard}":
                continue
            if m["type"] == 2300:
                docs[m["data"]["_key"]] = m["data"]
            elif m["type"] == 2302:
                docs.pop(m["data"]["_key"], None)
        inc = int(r.headers["x-arango-replication-lastincluded"])
        scanned = int(r.headers["x-arango-replication-lastscanned"])
        new = inc if inc > 0 else max(pos, scanned - 1)
        if new == pos or r.status == 204:
            break
        pos = new
    assert docs == want, (docs, want)
    assert c.get("/_api/wal/lastTick").error == 1470


def restart(c):
    before = c.documents("orders", "shop")
    c.run("stop")
    c.launch()
    assert c.documents("orders", "shop") == before
    c.wait_in_sync("orders", "shop")
    checksums(c)


with Cluster(coordinators=2, dbservers=3, auth=True) as cluster:
    for test in (credentials, structure, documents, restore_keeps_rev,
                 unique_index, transactions, cursors, checksums, the_log,
                 failover, unknown_is_not_absent, read_only, restart):
        t.run("smoke: " + test.__name__.replace("_", " "), test, cluster)
t.finish()
