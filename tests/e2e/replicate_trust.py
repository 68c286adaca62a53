#!/usr/bin/env python3
"""When a master must not rely on what it has recorded as applied: the target was
writable while no master looked after it, another master has led meanwhile, nothing
is heard of a server."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, Root, run_all
from load import fill, good, make
from sandbox import wait_for

PATH = "/_db/_system/_api/document/x"


def change_target(p, name):
    """What replication did not do: a document more, one less, one other."""
    for r in (p.b.post(PATH, {"_key": name}), p.b.delete(PATH + "/d1"),
              p.b.put(PATH + "/d2", {"is": name})):
        assert r.status in (200, 201, 202), r


def settled(p):
    """What was written is recorded, so a restart has nothing to copy."""
    wait_for(lambda: p.status()["status"] == "running", "runs", 40)
    time.sleep(3)               # --apply.settle, and a record each second


def begin(p):
    make(p.a, "_system", "x", 2, 1)
    fill(p.a, "_system", "x", 300, prefix="d")
    p.configure()
    p.wait_running(45)
    p.wait_equal(20)
    wait_for(lambda: p.b.agency("/arangodb/arangosync/x/incoming/readOnly"),
             "it is remembered that the target is read-only", 10)


def restarted(p):
    """Nothing has happened: the records are good."""
    settled(p)
    p.mb.kill()
    p.mb.start()
    p.wait_running(45)
    assert not p.mb.logged("shards are compared"), "not without a reason"


def writable_while_nobody_looked(p):
    settled(p)
    p.mb.kill()
    good(p.b.put("/_admin/server/mode", {"mode": "default"}))
    h = Root(p.b).connect()
    r = h.post(PATH, {"_key": "foreign"})
    h.close()
    assert r.status in (201, 202), r
    change_target(p, "open")
    p.mb.start()
    wait_for(lambda: p.mb.logged("was made writable"), "it is noticed", 40)
    p.wait_running(45)
    p.wait_equal(30)
    wait_for(lambda: p.read_only(p.b), "read-only again", 10)


def another_master(p, how):
    """It leads for a while; what the first one has recorded is of before."""
    first = p.mb
    second = p.make_master(p.kb, "second-" + how, p.b)
    p.masters.append(second)
    second.start()
    second.wait_version()
    assert first.stop()[0] == 0
    p.mb = second
    wait_for(second.leads, "the second one leads", 60)
    p.wait_running(45)
    fill(p.a, "_system", "x", 100, prefix=how)
    p.wait_equal(30)
    getattr(second, how)()
    p.mb = first
    # a request of its processes that came late
    change_target(p, how + "-late")
    first.start()
    wait_for(first.leads, "the first one leads again", 60)
    p.wait_running(60)
    p.wait_equal(40)
    assert first.logged("another master has led since"), "it says so"
    p.masters.remove(second)


def another_master_left(p):
    another_master(p, "stop")


def another_master_was_killed(p):
    another_master(p, "kill")


def a_silent_server(p):
    """Its watermarks do not come, though the session is alive (R21)."""
    assert p.command("set", "message", "timeout", "3s").code == 0
    p.a.run("pause", "dbserver1")
    try:
        wait_for(lambda: "nothing was heard of PRMR-" in p.command(
            "get", "status").out, "the server is named", 60)
        assert p.status()["status"] != "running"
    finally:
        p.a.run("resume", "dbserver1")
    wait_for(lambda: p.status()["status"] == "running", "runs again", 40)
    assert p.command("set", "message", "timeout", "1h").code == 0
    fill(p.a, "_system", "x", 50, prefix="heard")
    p.wait_equal(30)


def held(m, sig):
    for pid in [m.pid, *m.children().values()]:
        try:
            os.kill(pid, sig)
        except ProcessLookupError:      # ended by one that goes on already
            pass


def ended_by_another_meanwhile(p):
    """A master stands still for longer than its lease.  What its successor has ended
    by then is not begun again when it goes on."""
    first, other = p.mb, p.make_master(p.kb, "other", p.b)
    other.start()
    other.wait_version()
    p.masters.append(other)
    held(first, signal.SIGSTOP)
    try:
        wait_for(other.leads, "the other one leads", 60)
        p.mb = other
        p.wait_running(60)
        r = p.command("stop", "sync")
        assert r.code == 0, r
        p.assert_equal(300)
    finally:
        held(first, signal.SIGCONT)
    wait_for(lambda: first.logged("does not lead any more"), "it notices", 20)
    time.sleep(6)               # the mode is looked at every 5 s
    for c in (p.a, p.b):
        assert not p.read_only(c), "a cluster was made read-only by the past"
        s = c.agency("/arangodb/arangosync/synchronizationState") or {}
        assert not (s.get("outgoing") or {}).get("targets"), s
        assert (s.get("incoming") or {}).get("state", "inactive") == "inactive", s
    assert set(first.children()) == {"control", "api"}, first.children()


def stopped(p):
    assert p.status()["status"] == "inactive"
    p.assert_equal(300)


run_all("trust", [begin, restarted, writable_while_nobody_looked,
                  another_master_left, another_master_was_killed, a_silent_server,
                  ended_by_another_meanwhile, stopped],
        Pair(dbservers=1), 300)
