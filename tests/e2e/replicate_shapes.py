#!/usr/bin/env python3
"""Documents and collections of every shape: from one byte to 32 MiB, corners of
JSON, edges, custom shard keys with one key in two shards, unique values that
change places, transactions, truncates, a name that is dropped and made again."""
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, all_of, run_all
from load import (Writer, corners, fill, fill_edges, good, insert, make,
                  make_database, nested, sized, transaction)
from sandbox import wait_for

DB = "shapes"
MIB = 2**20


def put_same_keys(p, first):
    """One key in several shards: a client cannot make that where the shard key
    is not _key, but restores and older versions can."""
    for i in range(3):
        h, shard = p.leader_of(p.a, DB, "custom", i)
        for k in range(first, first + 40):
            good(h.post(f"/_db/{DB}/_api/document/{shard}",
                        {"_key": f"same{k}", "region": f"r{i}", "k": k}))
    n = sum(1 for d in all_of(p.a, DB, "custom") if d["_key"] == f"same{first}")
    assert n == 3, n


def begin(p):
    make_database(p.a, DB)
    make(p.a, DB, "sizes", 3, 2)
    make(p.a, DB, "corners", 4, 1)
    make(p.a, DB, "vertices", 5, 1)
    make(p.a, DB, "edges", 3, 2, type=3)
    make(p.a, DB, "custom", 3, 1, shardKeys=["region"])
    make(p.a, DB, "two", 4, 1, shardKeys=["x", "y"])
    make(p.a, DB, "unique", 1, 2)
    make(p.a, DB, "emptied", 4, 2)
    make(p.a, DB, "again", 3, 1)
    good(p.a.post(f"/_db/{DB}/_api/index?collection=unique",
                  {"type": "persistent", "fields": ["u"], "unique": True}))
    insert(p.a, DB, "corners", corners())
    insert(p.a, DB, "sizes", [sized(f"early{n}", n, n) for n in (0, 1, 100, 70000)])
    put_same_keys(p, 0)
    insert(p.a, DB, "two", [{"x": i % 7, "y": f"y{i % 11}", "n": i} for i in range(500)])
    fill(p.a, DB, "again", 300, prefix="old")
    p.configure()
    p.wait_running(45)
    p.wait_equal(20)


def sizes(p):
    """Around the bounds of frames (256 KiB), pieces and requests (8 MiB)."""
    for n in (0, 1, 2, 63, 64, 4095, 16384, 65535, 65536, 245000, 262143, 262144,
              300000, MIB, 3 * MIB, 8 * MIB - 100, 8 * MIB + 100):
        insert(p.a, DB, "sizes", [sized(f"s{n}", n, n)])
    insert(p.a, DB, "sizes", [sized("giant", 32 * MIB - 1000, 5)])
    insert(p.a, DB, "sizes", [sized(f"many{i}", 9000, i) for i in range(400)])
    p.wait_equal(40)
    # changed and gone, while large
    good(p.a.patch(f"/_db/{DB}/_api/document/sizes/giant", {"more": "x" * MIB}))
    good(p.a.delete(f"/_db/{DB}/_api/document/sizes/s{3 * MIB}"))
    p.wait_equal(40)


def json_corners(p):
    docs = corners()
    for i, d in enumerate(docs):
        d["_key"] = f"live{i}"
    insert(p.a, DB, "corners", docs)
    insert(p.a, DB, "corners", [{"_key": f"deep{n}", "x": nested(n)}
                                for n in (1, 10, 50, 90)])
    # the same as updates, and the same attributes removed again
    for i in range(0, len(docs), 2):
        good(p.a.patch(f"/_db/{DB}/_api/document/corners/live{i}?keepNull=false",
                       {"tick": None, "type": 2302, "data": {"_key": f"live{i + 1}"},
                        "cuid": "c2010002/s2010003", "db": DB}))
    r = random.Random(4)
    for i in range(300):
        text = "".join(chr(r.choice((r.randrange(1, 128), r.randrange(0x80, 0xd800),
                                     r.randrange(0x10000, 0x10ffff))))
                       for _ in range(r.randrange(40)))
        docs = [{"_key": f"r{i}", "t": text, text: [text], "n": r.uniform(-1e9, 1e9),
                 "i": r.randrange(-2**53, 2**53)}]
        insert(p.a, DB, "corners", docs)
    p.wait_equal(30)


def edges(p):
    fill(p.a, DB, "vertices", 1000)
    fill_edges(p.a, DB, "edges", 4000, "vertices")
    good(p.a.delete(f"/_db/{DB}/_api/document/edges?silent=true",
                    [f"e{i}" for i in range(0, 4000, 3)]))
    fill_edges(p.a, DB, "edges", 10, "vertices", prefix="x")
    p.wait_equal(30)


def same_key_in_two_shards(p):
    put_same_keys(p, 100)
    h, shard = p.leader_of(p.a, DB, "custom", 1)
    for k in range(0, 40, 2):           # gone from one, changed in another
        good(h.delete(f"/_db/{DB}/_api/document/{shard}/same{k}"))
    h, shard = p.leader_of(p.a, DB, "custom", 2)
    for k in range(0, 40, 3):
        good(h.patch(f"/_db/{DB}/_api/document/{shard}/same{k}", {"new": k}))
    insert(p.a, DB, "two", [{"x": i % 3, "y": f"z{i}", "n": i} for i in range(500)])
    p.wait_equal(30)
    n = sum(1 for d in all_of(p.b, DB, "custom") if d["_key"] == "same101")
    assert n == 3, n


def transactions(p):
    def steps(n):
        def do(h, head):
            for i in range(n):
                good(h.post(f"/_db/{DB}/_api/document/vertices?overwriteMode=replace",
                            [{"_key": f"trx{n}-{k}", "i": i} for k in range(50)],
                            headers=head))
            good(h.delete(f"/_db/{DB}/_api/document/vertices",
                          [f"trx{n}-{k}" for k in range(0, 50, 7)], headers=head))
        return do
    for n in (1, 3, 30):
        transaction(p.a, DB, "vertices", steps(n))
    transaction(p.a, DB, "vertices", steps(4), commit=False)
    # one that is open while others write and a truncate comes behind it
    h = p.a.connect()
    r = good(h.post(f"/_db/{DB}/_api/transaction/begin",
                    {"collections": {"write": "emptied"}}))
    trx = r.json["result"]["id"]
    good(h.post(f"/_db/{DB}/_api/document/emptied", {"_key": "inside"},
                headers={"x-arango-trx-id": trx}))
    fill(p.a, DB, "vertices", 200, prefix="beside")
    good(h.put(f"/_db/{DB}/_api/transaction/{trx}"))
    h.close()
    p.wait_equal(30)
    assert p.b.get(f"/_db/{DB}/_api/document/vertices/trx30-1").json["i"] == 29
    assert p.b.get(f"/_db/{DB}/_api/document/vertices/trx4-1").status == 404


def truncates(p):
    path = f"/_db/{DB}/_api/collection/emptied/truncate"
    for i in range(6):
        fill(p.a, DB, "emptied", 400 + i, prefix=f"round{i}-")
        good(p.a.put(path))
        if i % 2:
            insert(p.a, DB, "emptied", [{"_key": "kept", "i": i}])
    fill(p.a, DB, "emptied", 50, prefix="after")
    p.wait_equal(30)
    assert p.b.get(f"/_db/{DB}/_api/collection/emptied/count").json["count"] == 51
    good(p.a.put(path))
    p.wait_equal(30)
    assert p.b.get(f"/_db/{DB}/_api/collection/emptied/count").json["count"] == 0


def unique_values_change_places(p):
    docs = [{"_key": f"s{i}", "u": i} for i in range(40)]
    insert(p.a, DB, "unique", docs)
    with Writer(p.a, [(DB, "vertices")], seed=11, pause=0,
                unique=(DB, "unique")) as w:
        wait_for(lambda: w.by_kind.get("swap", 0) > 120, "swaps", 30)
        w.stop()
    print("# " + w.told())
    # a ring: everybody takes the value of the next one
    good(p.a.delete(f"/_db/{DB}/_api/document/unique?silent=true",
                    [d["_key"] for d in docs]))
    insert(p.a, DB, "unique", [{"_key": f"s{i}", "u": (i + 1) % 40} for i in range(40)])
    p.wait_equal(30)


def made_again(p):
    """Under one name: other shards, another kind, while it is written to."""
    for i, (shards, kind) in enumerate(((5, 2), (2, 3), (3, 2))):
        good(p.a.delete(f"/_db/{DB}/_api/collection/again"))
        make(p.a, DB, "again", shards, 1, type=kind)
        docs = [{"_key": f"new{i}-{k}", "_from": "vertices/a", "_to": "vertices/b",
                 "k": k} for k in range(300)]
        insert(p.a, DB, "again", docs)
    p.wait_running(60)
    p.wait_equal(30)
    assert p.b.get(f"/_db/{DB}/_api/document/again/old1").status == 404
    fill(p.a, DB, "again", 100, prefix="then")
    p.wait_equal(20)


def stopped(p):
    p.check_sync()
    p.stop()
    p.assert_equal(5000)


run_all("shapes", [begin, sizes, json_corners, edges, same_key_in_two_shards,
                   transactions, truncates, unique_values_change_places,
                   made_again, stopped], Pair(), 170)
