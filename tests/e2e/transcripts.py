#!/usr/bin/env python3
"""What real servers answered, asked again.

FIXTURES/arangod-transcripts holds requests and answers recorded from arangod
(mostly 3.8.9, a single server).  Each recording is in one of three groups:

  replayed   status, header names, shape and values are the same, apart from
             ids, revisions, ticks and times (VARIES)
  differs    as replayed, but a cluster answers otherwise: the attributes in
             which it does are named, with nothing else allowed to differ
  parsed     belongs to something the sandbox does not do yet; it is only
             checked that the recording is understood

The recordings are used in place and never copied."""
import glob
import html
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from sandbox import Cluster, Tap

DIR = os.path.join(os.environ.get("FIXTURES", ""), "arangod-transcripts")

# Attributes whose values no two servers share; only their type is compared.
VARIES = {"id", "_id", "_key", "_rev", "_oldRev", "revision", "globallyUniqueId",
          "objectId", "lastValue", "serverId", "shards", "details.*"}
# Attributes that a collection has in a cluster and not on a single server.
SHARDED = {"numberOfShards", "shardKeys", "shardingStrategy", "replicationFactor",
           "minReplicationFactor", "isSmart"}
# A coordinator shows the Plan's entry of an index (ClusterIndex.cpp), which
# has what was asked for and not what the index object of a server adds.
PLANNED = {"+inBackground"}
NO_ESTIMATE = PLANNED | {"-selectivityEstimate"}
HOP = {"content-length", "date"}


def collection(name="products", **kw):
    def setup(c):
        c.post("/_api/collection", dict({"name": name}, **kw))
    return setup


def synced(*docs):
    """Recorded on a collection with waitForSync."""
    def setup(c):
        c.post("/_api/collection", {"name": "products", "waitForSync": True})
        if docs:
            c.post("/_api/document/products", [{"_key": k} for k in docs])
    return setup


def unsynced(*docs):
    def setup(c):
        c.post("/_api/collection", {"name": "products"})
        if docs:
            c.post("/_api/document/products", [{"_key": k} for k in docs])
    return setup


def checksums(c):
    # The two documents that the recorded checksums belong to: one each.
    c.post("/_api/collection", {"name": "products"})
    c.post("/_api/document/products", {"_key": "66856"})

    def between(c):
        c.put("/_api/collection/products/truncate")
        c.post("/_api/document/products", {"_key": "66866", "foo": "bar"})
    return between


def hundred(c):
    c.post("/_api/collection", {"name": "products", "waitForSync": True})
    c.post("/_api/document/products", [{"i": i} for i in range(100)])


def some_indexes(c):
    c.post("/_api/collection", {"name": "products"})
    c.post("/_api/index?collection=products", {"type": "hash", "fields": ["name"]})
    c.post("/_api/index?collection=products",
           {"type": "skiplist", "fields": ["price"], "sparse": True})


def one_index(c):
    c.post("/_api/collection", {"name": "products"})
    r = c.post("/_api/index?collection=products",
               {"type": "skiplist", "unique": True, "fields": ["a", "b"]})
    return {"products/68264": r.json["id"]}


def begun(c):
    c.post("/_api/collection", {"name": "products"})
    r = c.post("/_api/transaction/begin", {"collections": {"write": "products"}})
    return {"68822": r.json["result"]["id"]}


def three_shards(c):
    c.post("/_api/collection", {"name": "testCollection", "numberOfShards": 3,
                                "replicationFactor": 2})
    c.wait_in_sync("testCollection")


def system_collection(c):
    c.post("/_api/collection", {"name": "_example", "isSystem": True})


def database(c):
    c.post("/_api/database", {"name": "example"})


# recording: (group, setup, attributes that differ; "-x": missing there,
# "+x": more here, "x": another value)
TABLE = {
    "RestAnalyzersGet": ("replayed", None, set()),
    "RestCollectionCreateCollection": ("differs", None, {"+" + a for a in SHARDED} | {"-lastValue", "-objectId"}),
    "RestCollectionCreateKeyopt": ("differs", None, {"+" + a for a in SHARDED} | {"-lastValue", "-objectId"}),
    "RestCollectionDeleteCollectionName": ("replayed", collection("products1"), set()),
    "RestCollectionDeleteCollectionSystem": ("replayed", system_collection, set()),
    "RestCollectionGetCollectionChecksum": ("replayed", checksums, set()),
    "RestCollectionGetCollectionCount": ("differs", hundred, {"+" + a for a in SHARDED} | {"-lastValue", "-objectId"}),
    "RestCollectionIdentifierPropertiesSync": ("differs", collection(), {"+" + a for a in SHARDED} | {"-lastValue", "-objectId"}),
    "RestCollectionIdentifierTruncate": ("replayed", collection(), set()),
    "RestDatabaseCreate": ("replayed", None, set()),
    "RestDatabaseDrop": ("replayed", database, set()),
    "RestDatabaseGet": ("replayed", None, set()),
    "RestDatabaseGetInfo": ("differs", None, {"+sharding", "+replicationFactor", "+writeConcern", "path"}),
    "RestDocumentHandlerDeleteDocumentKeyMulti": ("replayed", synced("1", "2"), set()),
    "RestDocumentHandlerDeleteDocumentObjectMulti": ("replayed", synced("1", "2"), set()),
    "RestDocumentHandlerDeleteDocumentRevConflictMulti": ("replayed", unsynced("1", "2"), set()),
    "RestDocumentHandlerDeleteDocumentUnknownMulti": ("replayed", unsynced(), set()),
    "RestDocumentHandlerPostBadJson1": ("replayed", unsynced(), set()),
    "RestDocumentHandlerPostBadJsonMulti": ("replayed", unsynced(), set()),
    "RestDocumentHandlerPostCreate1": ("replayed", synced(), set()),
    "RestDocumentHandlerPostMulti1": ("replayed", unsynced(), set()),
    "RestDocumentHandlerPostMulti2": ("replayed", unsynced(), set()),
    "RestDocumentHandlerPostOverwrite": ("replayed", synced(), set()),
    "RestDocumentHandlerPostUnknownCollection1": ("replayed", None, set()),
    "RestGetShardsWithDetails_cluster": ("replayed", three_shards, set()),
    "RestImportJsonUniqueContinue": ("replayed", unsynced(), set()),
    "RestIndexAllIndexes": ("differs", some_indexes, PLANNED),
    "RestIndexCreateGeoLocation": ("differs", collection(), PLANNED | {"-bestIndexedLevel", "-maxNumCoverCells", "-worstIndexedLevel"}),
    "RestIndexCreateNewFulltext": ("differs", collection(), PLANNED),
    "RestIndexCreateNewHashIndex": ("differs", collection(), NO_ESTIMATE),
    "RestIndexCreateNewPersistent": ("differs", collection(), NO_ESTIMATE),
    "RestIndexCreateNewSkiplist": ("differs", collection(), NO_ESTIMATE),
    "RestIndexCreateNewTtlIndex": ("differs", collection("sessions"), PLANNED),
    "RestIndexCreateNewUniqueConstraint": ("differs", collection(), NO_ESTIMATE),
    "RestIndexCreateNewZkd": ("differs", collection("intervals"), PLANNED | {"+fieldValueTypes"}),
    "RestIndexDeleteUniqueSkiplist": ("replayed", one_index, set()),
    "RestIndexPrimaryIndex": ("replayed", collection(), set()),
    "RestReplicationServerId": ("replayed", None, set()),
    "RestTasksListAll": ("replayed", None, set()),
    "RestTransactionBeginCommit": ("replayed", begun, set()),
    "RestTransactionBeginNonExisting": ("replayed", None, set()),
    "RestTransactionBeginSingle": ("replayed", collection(), set()),
    "RestVersionDetails": ("differs", None, {"details.*"}),
    # The recorded server had collections of its own, and users.
    "RestCollectionGetAllCollections": ("differs", None, {"result"}),
    "RestFetchAllUser": ("differs", None, {"result"}),
    # Later steps.
    "RestAdminLicenseGet_cluster": ("parsed", None, set()),
    "RestAdminSupportInfo_cluster": ("parsed", None, set()),
    "RestAnalyzerDelete": ("parsed", None, set()),
    "RestAnalyzerGet": ("parsed", None, set()),
    "RestAnalyzerPost": ("parsed", None, set()),
    "RestAqlfunctionCreate": ("parsed", None, set()),
    "RestCreateUser": ("parsed", None, set()),
    "RestDatabaseCreateUsers": ("parsed", None, set()),
    "RestDeleteUser": ("parsed", None, set()),
    "RestFetchUserDatabaseListFull": ("parsed", None, set()),
    "RestGrantDatabase": ("parsed", None, set()),
    "RestRevokeDatabase": ("parsed", None, set()),
    "RestViewDeleteViewNameArangoSearch": ("parsed", None, set()),
    "RestViewGetAllViews": ("parsed", None, set()),
    "RestViewGetViewPropertiesNameArangoSearch": ("parsed", None, set()),
    "RestViewPatchPropertiesArangoSearch": ("parsed", None, set()),
    "RestViewPostViewArangoSearch": ("parsed", None, set()),
    "RestViewPutPropertiesArangoSearch": ("parsed", None, set()),
}
# Asked of a DB-server: a coordinator has no data directory with an id.
ON_DBSERVER = {"RestReplicationServerId"}
# Recorded with 3.9, which has a header more and an index type more.
WITH_39 = {"RestIndexCreateNewZkd"}


def parse(path):
    """[(method, path, body or None, status, header names, json)]"""
    with open(path) as f:
        text = html.unescape(re.sub(r"<[^>]+>", "", f.read()))
    out = []
    for part in text.split("shell> ")[1:]:
        m = re.match(r"curl (?:-X (\w+) )?.*?--dump - http://localhost:8529(\S+)"
                     r"(?: <<EOF\n(.*?)\nEOF)?\n+HTTP/1.1 (\d+)[^\n]*\n(.*?)\n\n(.*)",
                     part, re.S)
        assert m, path
        method, url, body, status, head, answer = m.groups()
        names = {line.split(":")[0].lower() for line in head.splitlines()}
        value = json.loads(answer)
        if isinstance(value, str):      # recorded as text
            value = json.loads(value)
        out.append((method or "GET", url, body, int(status), names, value))
    assert out, path
    return out


def kind(v):
    return "number" if isinstance(v, (int, float)) and not isinstance(v, bool) else type(v).__name__


def compare(want, got, differs, at=""):
    """Complaints about what is not the same."""
    if kind(want) != kind(got):
        return [f"{at or 'answer'}: {kind(want)} was recorded, {kind(got)} came"]
    if isinstance(want, dict):
        bad = []
        # ids as keys ("identifiers"): compare the members in order of types
        if want and all("/" in k for k in want):
            if len(want) != len(got):
                return [f"{at}: {len(want)} members were recorded, {len(got)} came"]
            key = lambda x: json.dumps([x.get("type"), x.get("fields")])
            return compare(sorted(want.values(), key=key),
                           sorted(got.values(), key=key), differs, at)
        for k in sorted(set(want) | set(got)):
            here = f"{at}.{k}" if at else k
            if k in differs or here in differs or f"{at}.*" in differs:
                if k in want and k in got and kind(want[k]) != kind(got[k]):
                    bad.append(f"{here}: type differs")
            elif k not in got:
                if "-" + k not in differs:
                    bad.append(f"{here} is missing")
            elif k not in want:
                if "+" + k not in differs:
                    bad.append(f"{here} was not recorded: {got[k]!r}")
            elif k in VARIES or (k == "name" and str(want[k]).startswith("idx_")):
                if kind(want[k]) != kind(got[k]):
                    bad.append(f"{here}: type differs")
            else:
                bad += compare(want[k], got[k], differs, here)
        return bad
    if isinstance(want, list):
        if len(want) != len(got):
            return [f"{at}: {len(want)} members were recorded, {len(got)} came"]
        if want and isinstance(want[0], dict) and "type" in want[0] and "features" in want[0]:
            # a list without an order of its own
            want = sorted(want, key=lambda x: x["name"])
            got = sorted(got, key=lambda x: x["name"])
            for x in want + got:
                x["features"].sort()
        return [m for i, (a, b) in enumerate(zip(want, got))
                for m in compare(a, b, differs, f"{at}[{i}]")]
    return [] if want == got else [f"{at}: {want!r} was recorded, {got!r} came"]


def clean(c):
    for x in c.get("/_api/collection?excludeSystem=true").json["result"]:
        c.delete("/_api/collection/" + x["name"])
    c.delete("/_api/collection/_example?isSystem=true")
    for db in c.get("/_api/database").json["result"]:
        if db != "_system":
            c.delete("/_api/database/" + db)


def replay(c, name):
    group, setup, differs = TABLE[name]
    clean(c)
    extra = setup(c) if setup else None
    http = c.connect("dbserver1" if name in ON_DBSERVER else "coordinator1")
    bad = []
    for i, (method, path, body, status, headers, want) in enumerate(
            parse(os.path.join(DIR, name + ".generated"))):
        if i == 1 and callable(extra):
            extra(c)
        for old, new in (extra.items() if isinstance(extra, dict) else ()):
            path = path.replace(old, new)
        r = http.request(method, path, body, {"content-type": "application/json"})
        if r.status != status:
            bad.append(f"{method} {path}: {status} was recorded, {r} came")
            continue
        have = {h for h in r.headers} - HOP
        if have != headers - HOP:
            bad.append(f"{method} {path}: header names {sorted(have ^ (headers - HOP))} differ")
        bad += [f"{method} {path}: {m}" for m in compare(want, r.json, differs)]
    assert not bad, "\n".join(bad)


files = sorted(os.path.basename(f)[:-len(".generated")]
               for f in glob.glob(os.path.join(DIR, "*.generated")))
if not files:
    t = Tap(1)
    t.skip("transcripts: recorded answers of real servers", "FIXTURES is not set")
    t.finish()


def understood(name):
    parse(os.path.join(DIR, name + ".generated"))


def complete():
    assert set(files) == set(TABLE), set(files) ^ set(TABLE)
    n = [g for g, _, _ in TABLE.values() if g != "parsed"]
    print(f"# {len(n)} recordings asked again, {len(TABLE) - len(n)} only parsed")
    assert len(n) >= 35


t = Tap(len(files) + 1)
t.run("transcripts: the table has every recording", complete)
for group in (True, False):
    version = "3.9.12" if group else "3.8.9"
    with Cluster(dbservers=3, args=["--arangodb-version", version,
                                    "--edition", "enterprise"]) as cluster:
        for n in files:
            if (n in WITH_39) != group:
                continue
            if TABLE.get(n, ("parsed",))[0] == "parsed":
                t.run(f"transcripts: {n} is understood", understood, n)
            else:
                t.run(f"transcripts: {n}, {TABLE[n][0]}", replay, cluster, n)
t.finish()
