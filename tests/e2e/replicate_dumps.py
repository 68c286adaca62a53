#!/usr/bin/env python3
"""Real material: what arangodump wrote of other people's databases (FIXTURES=dir
has arangodump/), loaded over HTTP into several databases with 1 to 9 shards and
1 to 3 copies, half of it before and half of it after `configure sync`."""
import glob
import gzip
import json
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import good, insert, make, make_database
from sandbox import Tap

DROPPED = ("_rev", "_id")


def structures(folder):
    for name in sorted(glob.glob(os.path.join(folder, "*.structure.json"))):
        with open(name) as f:
            yield name.removesuffix(".structure.json"), json.load(f)


def lines(stem):
    for name in glob.glob(stem + ".data.json*"):
        with (gzip.open if name.endswith(".gz") else open)(name, "rt",
                                                           encoding="utf-8") as f:
            for line in f:
                x = json.loads(line)
                d = x.get("data", x)
                if x.get("type", 2300) in (2300, 2301) and "_key" in d:
                    yield {k: v for k, v in d.items() if k not in DROPPED}


class Dump:
    """One collection of a dump, with a number of shards of its own."""

    def __init__(self, i, folder, stem, structure):
        p = structure["parameters"]
        self.db = "dump-" + os.path.basename(folder).lower()
        self.name, self.type = p["name"], p["type"]
        self.shards, self.factor = 1 + i * 4 % 9, 1 + i % 3
        self.docs = list(lines(stem))
        self.indexes = [{k: i[k] for k in ("type", "fields", "unique", "minLength")
                         if k in i} for i in structure["indexes"]]


def load(top):
    found = []
    for folder in sorted(glob.glob(os.path.join(top, "*/"))):
        for stem, s in structures(folder.rstrip("/")):
            if not s["parameters"]["name"].startswith("_"):
                found.append(Dump(len(found), folder.rstrip("/"), stem, s))
    return found


def put(p, d, docs):
    for lo in range(0, len(docs), 1000):
        insert(p.a, d.db, d.name, docs[lo:lo + 1000])


def first_half(p):
    for db in sorted({d.db for d in DUMPS}):
        make_database(p.a, db)
    for d in DUMPS:
        make(p.a, d.db, d.name, d.shards, d.factor, type=d.type)
        for i in d.indexes:
            good(p.a.post(f"/_db/{d.db}/_api/index?collection={d.name}", i))
        put(p, d, d.docs[:len(d.docs) // 2])
        print(f"# {d.db}/{d.name}: {len(d.docs)} documents, {d.shards} shards, "
              f"{d.factor} copies")
    p.configure()
    p.wait_running(60)
    p.wait_equal(30)


def second_half(p):
    for d in DUMPS:
        put(p, d, d.docs[len(d.docs) // 2:])
    p.wait_equal(60)
    for d in DUMPS:
        r = p.b.get(f"/_db/{d.db}/_api/collection/{d.name}/count")
        assert r.json["count"] == len(d.docs), (d.name, r)


def most_is_changed(p):
    for d in DUMPS:
        path = f"/_db/{d.db}/_api/document/{d.name}?silent=true"
        keys = [x["_key"] for x in d.docs]
        for lo in range(0, len(keys), 2000):
            good(p.a.delete(path, keys[lo:lo + 500]))
            good(p.a.patch(path, [{"_key": k, "seen": True}
                                  for k in keys[lo + 500:lo + 1500]]))
    p.wait_equal(60)


def stopped(p):
    p.check_sync()
    p.stop()
    total = p.assert_equal()
    print(f"# {total} documents are the same")
    assert total > sum(len(d.docs) for d in DUMPS) / 2


TESTS = [first_half, second_half, most_is_changed, stopped]
TOP = os.path.join(os.environ.get("FIXTURES", ""), "arangodump")
if not os.environ.get("FIXTURES") or not os.path.isdir(TOP):
    t = Tap(len(TESTS))
    for test in TESTS:
        t.skip(f"dumps: {test.__name__.replace('_', ' ')}",
               "FIXTURES=dir has no arangodump")
    t.finish()
DUMPS = load(TOP)
run_all("dumps", TESTS, Pair(), 150)
