#!/usr/bin/env python3
"""--timeout is kept, within a second: with a source that is dead, that does not
answer, and with a barrier that cannot succeed.  Afterwards things are as the
command has said."""
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import fill, good, make, make_database
from sandbox import SLOW, wait_for

DB = "times"
# Of the command itself: the process, TLS, the last answer, and other tests.
SPARE = 1.5 * SLOW


def timed(p, seconds, *words):
    """The result; it must have come in time."""
    t = time.monotonic()
    r = p.command(*words, f"--timeout={seconds}s", timeout=90)
    took = time.monotonic() - t
    print(f"# {' '.join(words)} --timeout={seconds}s: {took:.2f} s, {r.code}, {r.err.strip()!r}")
    assert took < seconds + SPARE, f"{took:.1f} s: {r}"
    return r


@contextlib.contextmanager
def silence(p):
    """Connections to the source stay open, and nothing comes."""
    p.proxy.stall()
    try:
        yield
    finally:
        p.proxy.mend()


def configured(p):
    p.configure()
    p.wait_running(45)


def prepare(p):
    make_database(p.a, DB)
    for name in ("x", "y", "z"):
        make(p.a, DB, name, 3, 2)
        fill(p.a, DB, name, 100)
    configured(p)
    p.wait_equal(30)


def stop_behind_a_transaction(p):
    """Nothing is to be done about it: the command names it."""
    h = p.a.connect()
    r = good(h.post(f"/_db/{DB}/_api/transaction/begin",
                    {"collections": {"write": "x"}}))
    trx = r.json["result"]["id"]
    r = timed(p, 3, "stop", "sync")
    assert r.code == 1 and "in time" in r.err and "still write" in r.err, r
    assert "the barrier was removed; synchronization goes on" in r.err, r
    wait_for(lambda: not p.read_only(p.a), "the source is writable again", 5)
    good(h.delete(f"/_db/{DB}/_api/transaction/{trx}"))
    h.close()
    p.wait_running(20)


def stop_with_a_silent_source(p):
    with silence(p):
        for seconds in (2, 6):
            r = timed(p, seconds, "stop", "sync")
            assert r.code == 1 and "in time" in r.err, r
            assert "goes on" in r.err, r
    wait_for(lambda: not p.read_only(p.a), "the source is writable", 60)
    p.wait_running(60)


def silence_in_the_midst_of_a_barrier(p):
    """The source is read-only already, and cannot be told: its master does it
    when the lease ends, and the command says so."""
    h = p.a.connect()
    r = good(h.post(f"/_db/{DB}/_api/transaction/begin",
                    {"collections": {"write": "x"}}))
    trx = r.json["result"]["id"]
    assert p.mb.call("POST", "/_api/sync/barrier", cert="client.keyfile").status == 200
    wait_for(lambda: p.read_only(p.a), "read-only", 10)
    with silence(p):
        r = timed(p, 3, "stop", "sync")
        assert r.code == 1 and "in time" in r.err, r
        assert "not sure" in r.err and "lease" in r.err, r
        wait_for(lambda: not p.read_only(p.a), "the lease ends", 45)
        good(h.delete(f"/_db/{DB}/_api/transaction/{trx}"))
        h.close()
    p.wait_running(60)


def stop_with_a_dead_source(p):
    p.ma.kill()
    r = timed(p, 3, "stop", "sync")
    assert r.code == 1 and "in time" in r.err and "abort sync" in r.err, r
    r = timed(p, 3, "stop", "sync", "--ensure-in-sync=false")
    assert r.code == 1 and "in time" in r.err and "the master goes on" in r.err, r
    assert p.status()["status"] == "cancelling"


def abort_hurries_a_stop(p):
    """The stop that waits for the dead source is under way."""
    r = timed(p, 2, "abort", "sync")
    assert r.code == 0 and "abort outgoing sync" in r.out, r
    s = p.status()
    assert s["status"] == "inactive" and s.get("cancellationAborted"), s
    p.ma.start()
    wait_for(p.ma.leads, "leads", 40)
    wait_for(lambda: p.try_status(p.ma).get("outgoing"), "the source remembers", 20)
    r = p.command("abort", "outgoing", "sync", "--timeout=20s", at=p.ma)
    assert r.code == 0, r


def abort_with_a_silent_source(p):
    configured(p)
    with silence(p):
        r = timed(p, 5, "abort", "sync")
        assert r.code == 0 and "abort outgoing sync" in r.out, r
        s = p.status()
        assert s["status"] == "inactive" and s.get("cancellationAborted"), s
        assert not p.read_only(p.b)
    r = p.command("abort", "outgoing", "sync", "--timeout=20s", at=p.ma)
    assert r.code == 0, r


def a_master_that_is_dead(p):
    """Whoever is asked does not answer at all."""
    p.mb.kill()
    for words in (("stop", "sync"), ("abort", "sync")):
        r = timed(p, 2, *words)
        assert r.code == 1 and p.mb.url in r.err, r
    p.mb.start()
    wait_for(p.mb.leads, "leads", 40)


run_all("timeouts", [prepare, stop_behind_a_transaction, stop_with_a_silent_source,
                     silence_in_the_midst_of_a_barrier, stop_with_a_dead_source,
                     abort_hurries_a_stop, abort_with_a_silent_source,
                     a_master_that_is_dead], Pair(proxy=True), 240)
