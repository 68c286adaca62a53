#!/usr/bin/env python3
"""Documents beyond every bound on the way - pieces of 256 KiB, windows of
512 KiB, requests of 8 MiB, the 32 MiB of a queue's segment and batch: in the
first copy, in the stream, fetched by key, and while processes are killed."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, fingerprint, run_all
from load import fill, good, insert, make, make_database, sized
from sandbox import wait_for

DB = "large"
MIB = 2**20
EARLY, LIVE = (33, 66, 130), (34, 70, 100)


def wait_same(p, seconds=60):
    """By checksum of the data: reading all of it as JSON takes longer than
    bringing it there."""
    def same():
        for name in ("docs", "small"):
            x, y = (fingerprint(c, DB, name) for c in (p.a, p.b))
            if x is None or x != y:
                return False
        return True
    wait_for(same, "both sides have the same checksums", seconds)


def begin(p):
    """In the first copy."""
    make_database(p.a, DB)
    make(p.a, DB, "docs", 1, 1)
    make(p.a, DB, "small", 1, 1)
    fill(p.a, DB, "small", 100)
    for n in EARLY:
        insert(p.a, DB, "docs", [sized(f"early{n}", n * MIB, n)])
        insert(p.a, DB, "docs", [{"_key": f"beside{n}", "n": n}])
    p.configure()
    p.wait_running(90)
    wait_same(p)


def in_the_stream(p):
    """What is small does not wait for what is large in another shard."""
    for n in LIVE:
        insert(p.a, DB, "docs", [sized(f"live{n}", n * MIB + 1, n)])
        insert(p.a, DB, "docs", [{"_key": f"between{n}", "n": n}])
    insert(p.a, DB, "small", [{"_key": "meanwhile"}])
    wait_same(p)
    # changed, and gone, while large
    good(p.a.patch(f"/_db/{DB}/_api/document/docs/live70", {"more": "x"}))
    good(p.a.delete(f"/_db/{DB}/_api/document/docs/live100"))
    wait_same(p)


def fetched_by_key(p):
    """A comparison finds that they are missing."""
    h, shard = p.leader_of(p.b, DB, "docs", 0)
    for key in ("early33", "early130", "live34", "beside66"):
        good(h.delete(f"/_db/{DB}/_api/document/{shard}/{key}"))
    good(h.post(f"/_db/{DB}/_api/document/{shard}", sized("surplus", 35 * MIB)))
    r = p.mb.call("PUT", f"/_api/sync/database/{DB}/collection/docs/shard/0/reset",
                  {}, cert="client.keyfile")
    assert r.status == 200, r
    wait_same(p)


def killed_meanwhile(p):
    """Whoever is in the midst of one."""
    for i, (m, title) in enumerate(((p.ma, "send"), (p.mb, "receive"), (p.ma, "tail"),
                                    (p.mb, "link"))):
        insert(p.a, DB, "docs", [sized(f"killed{i}", 36 * MIB, i)])
        m.kill_child(title)
        insert(p.a, DB, "docs", [{"_key": f"after{i}"}])
    p.wait_running(60)
    wait_same(p)


def memory_is_given_back(p):
    """Large documents pass through; nobody keeps what they took."""
    def small_again():
        for m in (p.ma, p.mb):
            for title, pid in m.children().items():
                with open(f"/proc/{pid}/status") as f:
                    rss = next(int(x.split()[1]) for x in f if x.startswith("VmRSS"))
                if rss > 60 * 1024:
                    return False
        return True
    wait_for(small_again, "all processes are small", 30)


def stopped(p):
    """What is left is read and compared."""
    p.check_sync()
    gone = [f"early{n}" for n in EARLY] + ["live34"]
    good(p.a.delete(f"/_db/{DB}/_api/document/docs?silent=true", gone))
    p.stop()
    p.assert_equal(110)


run_all("large", [begin, in_the_stream, fetched_by_key, killed_meanwhile,
                  memory_is_given_back, stopped], Pair(dbservers=2), 240)
