#!/usr/bin/env python3
"""DB-servers asked directly: shards, what reaches followers and what does not,
batches and dumps, transactions, hostile input."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from sandbox import Cluster, Http, Tap, wait_for

NOREV = "_fw2Ytzy--_"


class Shard:
    """One shard of a collection with two copies: leader, follower."""

    def __init__(self, c, name, **kw):
        body = {"name": name, "numberOfShards": 1, "replicationFactor": 2}
        body.update(kw)
        r = c.post("/_api/collection", body)
        assert r.status == 200, r
        c.wait_in_sync(name)
        self.shard, servers = list(c.shards(name).items())[0]
        self.leader = Http(c.server_of_id(servers[0])["endpoint"], c.token())
        self.follower = Http(c.server_of_id(servers[1])["endpoint"], c.token())
        self.doc = "/_api/document/" + self.shard

    def dirty(self, key):
        return self.follower.request("GET", self.doc + "/" + key, None,
                                     {"x-arango-allow-dirty-read": "true"})

    def same(self):
        q = f"/_api/collection/{self.shard}/checksum?withRevisions=true&withData=true"
        a, b = self.leader.get(q), self.follower.get(q)
        assert a.status == b.status == 200, (a, b)
        assert a.json["checksum"] == b.json["checksum"], (a, b)


def errors(r):
    return json.loads(r.headers.get("x-arango-error-codes", "{}"))


def roles(c):
    s = Shard(c, "roles")
    assert s.leader.post(s.doc, {"_key": "a"}).status == 202
    r = s.follower.post(s.doc, {"_key": "b"})
    assert (r.status, r.error) == (421, 1491), r
    r = s.follower.get(s.doc + "/a")
    assert (r.status, r.error) == (421, 1491), r
    assert s.dirty("a").status == 200
    r = s.leader.post(s.doc + "?isSynchronousReplication=PRMR-x", {"_key": "b"})
    assert (r.status, r.error) == (406, 1489), r
    r = s.follower.post(s.doc + "?isSynchronousReplication=PRMR-x", {"_key": "b"})
    assert (r.status, r.error) == (406, 1490), r
    r = s.leader.post("/_api/document/s1", {"_key": "b"})
    assert (r.status, r.error) == (404, 1203), r
    r = s.leader.post("/_api/document/", {})
    assert r.status in (400, 404), r
    r = s.leader.post("/_api/document", {})
    assert (r.status, r.error) == (400, 1204), r
    r = s.leader.post("/_api/document?collection=" + s.shard, {"_key": "q"})
    assert r.status == 202, r
    s.same()


def write_concern(c):
    s = Shard(c, "concern", writeConcern=2)
    assert s.leader.post(s.doc, {"_key": "a"}).status == 202
    name = c.server_of_id(list(c.shards("concern").values())[0][1])["name"]
    c.run("kill", name)
    # The first write finds out that nobody follows, the next are refused.
    def refused():
        r = s.leader.post(s.doc, {})
        return r if r.status == 403 else None
    r = wait_for(refused, "write concern")
    assert r.error == 1004, r
    c.run("start", name)
    c.wait_in_sync("concern")
    assert s.leader.post(s.doc, {}).status == 202
    s.same()


def same_revision(c):
    """R11: what keeps the revision stays on the leader, but for silent PUT."""
    s = Shard(c, "samerev")
    def put(v, q):
        return s.leader.post(s.doc + q, [{"_key": "k", "_rev": NOREV, "v": v}])
    assert put(1, "?isRestore=true").status == 202
    assert s.dirty("k").json["v"] == 1
    r = put(2, "?isRestore=true&overwriteMode=replace")
    assert r.json[0]["_rev"] == r.json[0]["_oldRev"] == NOREV, r
    assert s.leader.get(s.doc + "/k").json["v"] == 2
    assert s.dirty("k").json["v"] == 1
    put(3, "?isRestore=true&overwriteMode=replace&silent=true")
    assert s.dirty("k").json["v"] == 1
    body = [{"_key": "k", "_rev": NOREV, "v": 4}]
    assert s.leader.put(s.doc + "?isRestore=true", body).status == 202
    assert s.dirty("k").json["v"] == 1
    assert s.leader.put(s.doc + "?isRestore=true&silent=true", body).status == 202
    assert s.dirty("k").json["v"] == 4
    s.same()


def same_revision_unique(c):
    """A follower that R11 left behind refuses a value that was given up, and
    gets in sync again by removing what holds it."""
    s = Shard(c, "samerevu")
    r = c.post("/_api/index?collection=samerevu", {
        "type": "persistent", "fields": ["v"], "unique": True})
    assert r.status == 201, r
    wait_for(lambda: len(s.follower.get("/_api/index?collection=" + s.shard)
                         .json["indexes"]) == 2, "index of the follower")
    for v in (1, 2):
        r = s.leader.post(s.doc + "?isRestore=true&overwriteMode=replace",
                          [{"_key": "k", "_rev": NOREV, "v": v}])
        assert r.status == 202 and not errors(r), r
    assert s.dirty("k").json["v"] == 1
    assert s.leader.post(s.doc, {"_key": "other", "v": 1}).status == 202
    c.wait_in_sync("samerevu")
    assert s.dirty("k").json["v"] == 2
    s.same()


def array_forms(c):
    s = Shard(c, "arrays")
    r = s.leader.post(s.doc + "?returnNew=true",
                      [{"_key": "a", "n": 1}, {"_key": 7}, [], {"_key": "a"},
                       {"_key": "a b"}])
    assert r.status == 202 and len(r.json) == 5, r
    assert [x.get("errorNum") for x in r.json] == [None, 1221, 1227, 1210, 1221], r
    assert errors(r) == {"1221": 2, "1227": 1, "1210": 1}, r.headers
    assert r.json[0]["new"]["n"] == 1
    assert "conflicting key: a" in r.json[3]["errorMessage"], r
    r = s.leader.post(s.doc + "?silent=true", [{"_key": "b"}, {"_key": "a"}])
    assert [x["errorNum"] for x in r.json] == [1210] and errors(r) == {"1210": 1}, r
    r = s.leader.post(s.doc + "?silent=true", [{"_key": "c"}])
    assert r.json == {} and r.status == 202, r
    r = s.leader.patch(s.doc, [{"_key": "a", "n": None}, {"_key": "zz"}, {}])
    assert [x.get("errorNum") for x in r.json] == [None, 1202, 1205], r
    r = s.leader.put(s.doc + "?onlyget=true", ["a", "arrays/b", {"_key": "nope"}])
    assert r.status == 200 and r.json[0]["_key"] == "a" and r.json[2]["errorNum"] == 1202, r
    r = s.leader.delete(s.doc + "?ignoreRevs=false&returnOld=true",
                        [{"_key": "a", "_rev": "B-3"}, "b", "c", 5, "zz"])
    assert [x.get("errorNum") for x in r.json] == [1200, None, None, 1205, 1202], r
    assert r.json[1]["old"]["_key"] == "b"
    assert s.leader.put(s.doc, {}).error == 1227
    assert s.leader.delete(s.doc, "a").status == 400
    s.same()


def preconditions(c):
    s = Shard(c, "pre")
    rev = s.leader.post(s.doc, {"_key": "a", "n": 1}).json["_rev"]
    def ask(method, headers, body=None, q=""):
        return s.leader.request(method, s.doc + "/a" + q, body, headers)
    r = ask("GET", {"if-none-match": f'"{rev}"'})
    assert r.status == 304, r
    r = ask("GET", {"if-match": '"B-3"'})
    assert (r.status, r.error, r.json["_rev"]) == (412, 1200, rev), r
    assert r.headers["etag"] == f'"{rev}"'
    r = ask("PUT", {"if-match": '"B-3"'}, {"n": 2})
    assert (r.status, r.error) == (412, 1200), r
    r = ask("PATCH", {"if-match": f'"{rev}"'}, {"n": 2, "_key": "other"})
    assert r.status == 202 and r.json["_key"] == "a" and r.json["_oldRev"] == rev, r
    r = ask("PATCH", {}, {}, "?returnNew=true")
    assert r.json["_rev"] == r.json["_oldRev"], "an empty patch changes nothing"
    r = ask("DELETE", {"if-match": '"no revision"'})
    assert r.status == 412, r
    assert ask("DELETE", {}).status == 202
    r = ask("DELETE", {})
    assert (r.status, r.error, r.json["errorMessage"]) == (404, 1202, "document not found"), r


def large(c):
    s = Shard(c, "large")
    big = {"_key": "big", "v": "x" * (33 << 20)}
    assert s.leader.post(s.doc + "?waitForSync=true", big).status == 201
    assert len(s.leader.get(s.doc + "/big").json["v"]) == 33 << 20
    many = [{"_key": "k%d" % i, "v": "y" * 1000} for i in range(90000)]
    r = s.leader.post(s.doc + "?silent=true", many)
    assert r.status == 202 and r.json == {}, r
    s.same()
    n = s.leader.get(f"/_api/collection/{s.shard}/count").json["count"]
    assert n == 90001, n
    assert s.leader.put(f"/_api/collection/{s.shard}/truncate", {}).status == 200
    for h in (s.leader, s.follower):
        assert h.get(f"/_api/collection/{s.shard}/count").json["count"] == 0
    assert s.leader.post(s.doc, {"_key": "k1"}).status == 202
    s.same()


def transactions(c):
    s = Shard(c, "trx")
    def ask(method, path, body=None, trx=None):
        return s.leader.request(method, path, body,
                                {"x-arango-trx-id": trx} if trx else {})
    assert ask("POST", s.doc, {"_key": "a"}, "4000").error == 1655
    for bad in ("x", "", "0", "4000 begun", "99999999999999999999"):
        if bad:
            assert ask("POST", s.doc, {"_key": "a"}, bad).error == 10, bad
    assert ask("POST", s.doc, [{"_key": "a"}, {"_key": "b"}], "4000 begin").status == 202
    assert ask("GET", s.doc + "/a", None, "4000").status == 200
    assert ask("GET", s.doc + "/a").status == 404
    r = ask("POST", s.doc, {"_key": "a"})
    assert (r.status, r.error) == (409, 1200), r
    assert ask("DELETE", s.doc + "/b", None, "4000").status == 202
    assert s.dirty("a").status == 404
    r = ask("PUT", "/_api/transaction/4000")
    assert r.json["result"] == {"id": "4000", "status": "committed"}, r
    assert ask("PUT", "/_api/transaction/4000").status == 200
    assert s.dirty("a").status == 200 and s.dirty("b").status == 404
    assert ask("POST", s.doc, {"_key": "c"}, "4004 begin").status == 202
    assert ask("PUT", f"/_api/collection/{s.shard}/truncate", {}, "4004").status == 200
    assert ask("POST", s.doc, {"_key": "d"}, "4004").status == 202
    assert ask("GET", s.doc + "/a").status == 200
    assert ask("PUT", "/_api/transaction/4004").status == 200
    assert ask("GET", s.doc + "/a").status == 404
    assert s.dirty("d").status == 200
    assert ask("POST", s.doc, {"_key": "e"}, "4008 begin").status == 202
    assert ask("DELETE", "/_api/transaction/4008").status == 200
    assert ask("POST", s.doc, {"_key": "e"}, "4008").error == 1654
    assert ask("POST", s.doc, {"_key": "e"}).status == 202
    lines = [json.loads(x) for x in
             s.leader.get(f"/_api/wal/tail?collection={s.shard}").body.splitlines()]
    group = [x["type"] for x in lines if x.get("tid") == "4001"]
    assert group[0] == 2200 and group[-1] == 2201, group
    s.same()


def truncate_in_transaction(c):
    """It removes what the transaction sees, at the follower as at the leader."""
    s = Shard(c, "trxtrunc")
    def ask(method, path, body=None, trx=None):
        return s.leader.request(method, path, body,
                                {"x-arango-trx-id": trx} if trx else {})
    truncate = f"/_api/collection/{s.shard}/truncate"
    keys = [{"_key": "k%d" % i} for i in range(50)]
    assert ask("POST", s.doc, keys).status == 202
    assert ask("POST", s.doc, {"_key": "own"}, "4000 begin").status == 202
    assert ask("POST", s.doc, {"_key": "late"}).status == 202
    assert ask("PUT", truncate, {}, "4000").status == 200
    assert ask("POST", s.doc, {"_key": "after"}, "4000").status == 202
    assert ask("PUT", "/_api/transaction/4000").status == 200
    for key in ("late", "after"):
        assert ask("GET", s.doc + "/" + key).status == 200, key
        assert s.dirty(key).status == 200, key
    for key in ("k0", "k49", "own"):
        assert ask("GET", s.doc + "/" + key).status == 404, key
        assert s.dirty(key).status == 404, key
    s.same()
    # One that meets a change, and is committed with what it has done.
    assert ask("POST", s.doc, keys).status == 202
    assert ask("POST", s.doc, {"_key": "own"}, "4004 begin").status == 202
    assert ask("PATCH", s.doc + "/k30", {"v": 1}).status == 202
    r = ask("PUT", truncate, {}, "4004")
    assert (r.status, r.error) == (409, 1200), r
    assert ask("PUT", "/_api/transaction/4004").status == 200
    assert ask("GET", s.doc + "/k30").json["v"] == 1
    s.same()


def scans(c):
    s = Shard(c, "scan")
    s.leader.post(s.doc, [{"_key": "k%03d" % i, "a": {"b": i % 3}} for i in range(300)])
    def scan(**kw):
        kw["shard"] = s.shard
        return s.leader.post("/_internal/scan", kw)
    keys, after = [], None
    while True:
        r = scan(limit=77, keys=True, **({"after": after} if after else {}))
        assert r.status == 200, r
        keys += r.json["documents"]
        if not r.json["more"]:
            break
        after = r.json["last"]
    assert keys == ["k%03d" % i for i in range(300)]
    r = scan(attr="a.b", value=1.0)
    assert r.json["count"] == 100 and len(r.json["documents"]) == 100, r
    assert scan(attr="a.b", value=9, count=True).json["count"] == 0
    assert scan(attr="none", count=True).json["count"] == 300
    r = scan(attr="a.b", value=2, remove=True, count=True)
    assert r.json["count"] == 100, r
    assert scan(count=True).json["count"] == 200
    assert s.leader.post("/_internal/scan", {"shard": "s1"}).error == 1203
    assert s.leader.post("/_internal/scan", [1]).status == 400
    s.same()


def replication(c):
    s = Shard(c, "repl")
    h = s.leader
    h.post(s.doc, [{"_key": "k%03d" % i} for i in range(100)])
    r = h.post("/_api/replication/batch?syncerId=77&state=true", {"ttl": 60})
    assert r.status == 200, r
    b, tick = r.json["id"], r.json["lastTick"]
    assert r.json["state"]["server"]["engine"] == "rocksdb", r
    h.post(s.doc, {"_key": "later"})
    q = f"/_api/replication/dump?collection={s.shard}&batchId={b}&chunkSize=1000"
    docs, more = [], True
    while more:
        r = h.get(q)
        assert r.status == 200 and int(r.headers["x-arango-replication-lastincluded"]) > 0, r
        more = r.headers["x-arango-replication-checkmore"] == "true"
        docs += [json.loads(x) for x in r.body.splitlines()]
    assert {x["data"]["_key"] for x in docs} == {"k%03d" % i for i in range(100)}
    r = h.get(q)
    assert r.status == 204 and r.headers["x-arango-replication-lastincluded"] == "0", r
    clients = h.get("/_api/replication/logger-state").json["clients"]
    assert [x["lastServedTick"] for x in clients if x["syncerId"] == "77"] == [tick], clients
    r = h.get(f"/_api/replication/inventory?batchId={b}&global=true")
    names = [x["parameters"]["name"] for x in r.json["databases"]["_system"]["collections"]]
    assert s.shard in names, r
    r = h.get(f"/_api/replication/inventory?batchId={b}&collection={s.shard}")
    p = r.json["collections"][0]["parameters"]
    assert p["globallyUniqueId"] == "c%s/%s" % (p["planId"], s.shard), r
    assert h.put(f"/_api/replication/batch/{b}", {"ttl": 60}).status == 204
    assert h.delete(f"/_api/replication/batch/{b}").status == 204
    for r in (h.put(f"/_api/replication/batch/{b}", {"ttl": 60}),
              h.delete(f"/_api/replication/batch/{b}"),
              h.get(f"/_api/replication/inventory?batchId={b}"),
              h.get("/_api/replication/inventory")):
        assert (r.status, r.error) == (404, 1600), r
    r = h.get(q)
    assert (r.status, r.error) == (404, 400), r
    assert h.get("/_api/replication/dump?batchId=1").status == 400
    r = h.get("/_api/replication/clusterInventory")
    assert (r.status, r.error) == (403, 1471), r
    assert h.get(f"/_api/replication/revisions/tree?collection={s.shard}").status == 501
    assert h.get("/_api/wal/nothing").status == 400
    assert h.post("/_api/wal/tail", {}).status == 400
    assert h.put("/_api/wal/tail", {}).status == 400
    assert h.put("/_api/wal/tail?from=%s" % tick, []).status == 200
    r = h.get("/_api/wal/tail?global=true&trackOnly=true&syncerId=78&from=5")
    assert r.json["result"] == {}, r
    def ticks():
        return [x["lastServedTick"] for x in
                h.get("/_api/replication/logger-state").json["clients"]
                if x["syncerId"] == "78"]
    assert ticks() == ["5"]
    assert h.get("/_api/wal/tail?global=true&syncerId=78&from=6&to=5").status == 400
    assert ticks() == ["5"], "a request that failed registered something"
    assert h.delete("/_api/wal/tail?syncerId=78").status == 200
    assert ticks() == []


def indexes(c):
    s = Shard(c, "ix")
    s.leader.post(s.doc, [{"_key": "a", "v": 1}, {"_key": "b", "v": 1}])
    r = c.post("/_api/index?collection=ix", {"type": "persistent", "fields": ["v"],
                                             "unique": True, "name": "u"})
    assert r.error == 1210 and "conflicting key" in r.json["errorMessage"], r
    s.leader.delete(s.doc + "/b")
    r = c.post("/_api/index?collection=ix", {"type": "persistent", "fields": ["v"],
                                             "unique": True, "name": "u"})
    assert r.status == 201, r
    r = s.leader.post(s.doc, {"_key": "b", "v": 1})
    assert (r.status, r.error) == (409, 1210), r
    assert "in index u of type persistent over 'v'; conflicting key: a" in \
        r.json["errorMessage"], r
    wait_for(lambda: len(s.follower.get("/_api/index?collection=" + s.shard)
                         .json["indexes"]) == 2, "index of the follower")
    # Values change places under a unique index, while somebody follows.
    s.leader.post(s.doc, {"_key": "b", "v": 2})
    for i in range(20):
        r = s.leader.put(s.doc, [{"_key": "a", "v": -1}, {"_key": "b", "v": 1},
                                 {"_key": "a", "v": 2}, {"_key": "b", "v": -2},
                                 {"_key": "a", "v": 1}, {"_key": "b", "v": 2}])
        assert not errors(r), r
    s.same()


def hostile(c):
    s = Shard(c, "hostile")
    h = s.leader
    VP = {"content-type": "application/x-velocypack"}
    bodies = [b"", b"{", b"[" * 5000, b"\xff\xfe", b"{\"a\":1,\"a\":2}", b"nul",
              b"[{}]]", b"{\"a\":1e999}", b"\"\\ud800\""]
    for body in bodies:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            r = h.request(method, s.doc, body)
            assert 400 <= r.status < 500, (method, body[:20], r)
    for body in (b"\x00", b"\x14\x09\x44_key\x41ab\x02", b"\x0b\xff", os.urandom(100),
                 b"\x1d" + b"\x00" * 8, b"\xf0\x01", b"\x13\x04\x18\x02"):
        for path in (s.doc, "/_internal/scan", "/_internal/replicate?leader=x&stream=1&seq=1",
                     "/_internal/sync/start", "/_internal/sync/keys",
                     "/_internal/sync/docs", "/_internal/sync/finish"):
            r = h.request("POST", path, body, VP)
            assert 400 <= r.status < 500, (path, body, r)
    for body in ({}, {"shard": 5}, {"shard": s.shard}, {"shard": s.shard, "snap": 1},
                 {"shard": s.shard, "server": "x", "epoch": -1},
                 {"shard": s.shard, "server": "PRMR-nobody", "epoch": 5}):
        for what in ("start", "keys", "docs", "finish"):
            r = h.post("/_internal/sync/" + what, body)
            assert 400 <= r.status < 500, (what, body, r)
    for q in ("chunkSize=0", "chunkSize=99999999999999999999", "from=-1", "from=x",
              "lastScanned=18446744073709551615", "from=18446744073709551615",
              "syncerId=x"):
        r = h.get("/_api/wal/tail?global=true&" + q)
        assert r.status in (200, 204, 400), (q, r)
    assert h.post("/_api/replication/batch", [1]).status == 400
    assert h.post("/_api/replication/batch", {"ttl": "x"}).status == 200
    assert h.post("/_api/replication/batch", {"ttl": -1e300}).status == 200
    assert h.put("/_api/replication/batch/x", {"ttl": 1}).error == 1600
    assert h.put("/_admin/server/mode", {"mode": "maybe"}).status == 400
    assert h.get(s.doc + "/" + "k" * 5000).status == 404
    assert h.get(s.doc + "/%00").status in (400, 404)
    assert h.get("/_api/version").status == 200
    assert h.get(f"/_api/collection/{s.shard}/count").json["count"] == 0
    s.same()


def main():
    t = Tap(14)
    with Cluster(coordinators=1, dbservers=3, auth=True) as c:
        for name, fn in (("who takes what", roles),
                         ("the same revision stays on the leader", same_revision),
                         ("and lets go of unique values", same_revision_unique),
                         ("arrays of everything", array_forms),
                         ("preconditions", preconditions),
                         ("large ones, and truncate", large),
                         ("stream transactions", transactions),
                         ("truncate in one of them", truncate_in_transaction),
                         ("scans", scans),
                         ("batches, dumps, clients", replication),
                         ("unique indexes", indexes),
                         ("hostile input", hostile),
                         ("write concern", write_concern)):
            t.run("dbserver: " + name, fn, c)
        def alive(c):
            assert c.run("status")[0] == 0
        t.run("dbserver: all servers are still up", alive, c)
    return t.finish()


if __name__ == "__main__":
    sys.exit(main())
