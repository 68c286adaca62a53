#!/usr/bin/env python3
"""The ways in which replication ends: in order while the source is written to,
out of time, aborted with the source there or gone, cleaned up at the source;
then the other direction."""
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from cli_lib import PROGRAM
from datacenters import Pair, Root, run_all
from load import Writer, fill, good, make, make_database
from sandbox import wait_for

DB = "ends"


def configured(p, seconds=45):
    p.configure()
    p.wait_running(seconds)


def nothing_yet(p):
    for words in (("stop", "sync"), ("abort", "sync")):
        r = p.command(*words)
        assert r.code == 0 and "inactive" in r.out, r
    r = p.command("check", "sync")
    assert r.code == 1 and "whole data" not in r.out, r
    r = p.command("abort", "outgoing", "sync", at=p.ma)
    assert r.code in (0, 1), r
    assert p.mb.call("POST", "/_api/sync/barrier", cert="client.keyfile").status == 412
    make_database(p.a, DB)
    make(p.a, DB, "x", 4, 2)
    make(p.a, DB, "y", 1, 1, type=3)
    fill(p.a, DB, "x", 3000)


def stop_while_written(p):
    """Writers are refused from the barrier on; then the source is writable."""
    configured(p)
    # an application: read-only mode does not hold for a superuser
    with Writer(Root(p.a), [(DB, "x")], seed=1) as w:
        wait_for(lambda: w.taken > 50, "writes", 30)
        p.stop()
        assert w.failed > 0, "nobody was refused while the barrier was there"
        n = w.taken
        wait_for(lambda: w.taken > n + 20, "the source is writable again", 20)
        w.stop()
    assert not p.read_only(p.a) and not p.read_only(p.b)


def equal_at_the_moment_of_the_stop(p):
    """What applications were told is written is in the target, too."""
    configured(p)
    acknowledged, h = [], Root(p.a).connect()
    go = threading.Event()
    go.set()

    def write():
        i = 0
        while go.is_set():
            r = h.post(f"/_db/{DB}/_api/document/x", {"_key": f"ack{i}"})
            if r.status in (201, 202):
                acknowledged.append(f"ack{i}")
            elif r.status == 403 and acknowledged:
                return
            i += 1
    t = threading.Thread(target=write, daemon=True)
    t.start()
    wait_for(lambda: len(acknowledged) > 100, "writes", 30)
    r = p.command("stop", "sync", "--source-server-mode=readonly")
    assert r.code == 0, r
    t.join(20)
    go.clear()
    assert not t.is_alive(), "nobody was refused"
    h.close()
    assert p.read_only(p.a) and not p.read_only(p.b)
    p.assert_equal(3000)
    have = set(p.b.documents("x", DB))
    assert set(acknowledged) <= have, set(acknowledged) - have
    good(p.a.put("/_admin/server/mode", {"mode": "default"}))


def stop_out_of_time(p):
    """A transaction that stays open: the command names it, and everything goes
    on as before."""
    configured(p)
    h = p.a.connect()
    r = good(h.post(f"/_db/{DB}/_api/transaction/begin",
                    {"collections": {"write": "x"}}))
    trx = r.json["result"]["id"]
    good(h.post(f"/_db/{DB}/_api/document/x", {"_key": "open"},
                headers={"x-arango-trx-id": trx}))
    t = time.monotonic()
    r = p.command("stop", "sync", "--timeout=6s")
    assert r.code == 1, r
    assert time.monotonic() - t < 25, "it took much longer than was said"
    assert "goes on" in r.err, r
    wait_for(lambda: not p.read_only(p.a), "the source is writable again", 15)
    good(h.put(f"/_db/{DB}/_api/transaction/{trx}"))
    h.close()
    p.wait_running(20)
    p.wait_equal(30)


def stop_interrupted(p):
    """SIGINT takes the barrier away."""
    h = p.a.connect()
    r = good(h.post(f"/_db/{DB}/_api/transaction/begin",
                    {"collections": {"write": "x"}}))
    trx = r.json["result"]["id"]
    q = subprocess.Popen(
        [PROGRAM, "stop", "sync", "--master.endpoint", p.mb.url, "--master.cacert",
         p.kb.path("tls-ca.crt"), "--auth.keyfile", p.kb.path("client.keyfile")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)
    try:
        wait_for(lambda: p.read_only(p.a), "the barrier makes the source read-only", 20)
        q.send_signal(signal.SIGINT)
        out, err = q.communicate(timeout=30)
    finally:
        if q.poll() is None:
            q.kill()
            q.wait()
    assert q.returncode != 0 and "goes on" in err, (q.returncode, out, err)
    wait_for(lambda: not p.read_only(p.a), "the source is writable again", 15)
    good(h.delete(f"/_db/{DB}/_api/transaction/{trx}"))
    h.close()
    assert p.status()["status"] == "running"


def lease_ends(p):
    """The target's daemon dies with the barrier set: within the lease of 30 s
    the source's master makes the source writable again."""
    h = p.a.connect()
    r = good(h.post(f"/_db/{DB}/_api/transaction/begin",
                    {"collections": {"write": "x"}}))
    trx = r.json["result"]["id"]
    assert p.mb.call("POST", "/_api/sync/barrier", cert="client.keyfile").status == 200
    wait_for(lambda: p.read_only(p.a), "read-only", 20)
    p.mb.kill()
    wait_for(lambda: not p.read_only(p.a), "the lease ends", 50)
    good(h.delete(f"/_db/{DB}/_api/transaction/{trx}"))
    h.close()
    p.mb.start()
    p.wait_running(60)
    p.mb.call("DELETE", "/_api/sync/barrier", cert="client.keyfile")
    wait_for(lambda: not p.read_only(p.a), "writable", 20)


def abort(p):
    """The source is there and is told."""
    r = p.command("abort", "sync", "--timeout=20s")
    assert r.code == 0, r
    wait_for(lambda: not p.status(p.ma).get("outgoing"), "the source forgets", 20)
    p.assert_inactive()
    wait_for(lambda: not p.read_only(p.b), "the target is writable", 10)


def abort_without_source(p):
    configured(p)
    p.ma.kill()
    r = p.command("abort", "sync", "--timeout=3s", timeout=60)
    assert "source" in r.out + r.err, r
    s = p.status()
    assert s["status"] == "inactive" and not s.get("shards"), s
    assert s.get("cancellationAborted"), s
    wait_for(lambda: not p.read_only(p.b), "the target is writable", 10)
    p.ma.start()
    wait_for(p.ma.leads, "leads", 40)
    s = wait_for(lambda: p.try_status(p.ma).get("outgoing"), "the source remembers", 20)
    assert len(s) == 1, s
    r = p.command("abort", "outgoing", "sync", "--target", "nobody", at=p.ma)
    assert r.code == 1, r
    r = p.command("abort", "outgoing", "sync", "--timeout=20s", at=p.ma)
    assert r.code == 0, r
    assert not p.status(p.ma).get("outgoing"), p.status(p.ma)
    wait_for(lambda: set(p.ma.children()) == {"control", "api"},
             "nothing is left at the source", 15)
    left = os.path.join(p.ma.data, "queues")
    assert not os.path.isdir(left) or not os.listdir(left), os.listdir(left)


def other_direction(p):
    """The copy becomes the source."""
    configured(p)
    p.stop()
    p.assert_equal(3000)
    fill(p.b, DB, "x", 500, prefix="reversed")
    good(p.a.post(f"/_db/{DB}/_api/document/x", {"_key": "volatile"}))
    r = p.command("configure", "sync", "--source.endpoint", p.mb.url,
                  "--source.cacert", p.kb.path("tls-ca.crt"),
                  "--master.keyfile", p.kb.path("client.keyfile"), at=p.ma)
    assert r.code == 0, r
    wait_for(lambda: p.try_status(p.ma).get("status") == "running", "runs", 45)
    p.wait_equal(40)
    assert p.a.get(f"/_db/{DB}/_api/document/x/volatile").status == 404
    assert p.read_only(p.a) and not p.read_only(p.b)
    r = p.command("stop", "sync", at=p.ma)
    assert r.code == 0, r
    p.assert_inactive()
    p.assert_equal(3000)


run_all("end", [nothing_yet, stop_while_written, equal_at_the_moment_of_the_stop,
                stop_out_of_time, stop_interrupted, lease_ends, abort,
                abort_without_source, other_direction], Pair(), 240)
