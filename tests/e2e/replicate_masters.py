#!/usr/bin/env python3
"""Masters and the network between them: both masters restarted at once, the
source written to while everything is down, a link that is cut or stalls for
longer than buffers last, no link at the start."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import Writer, fill, good, make, make_database
from sandbox import wait_for

DB = "masters"
WHERE = [(DB, "a"), (DB, "b")]


def begin(p):
    """Configured while nobody answers behind the proxy, it goes on when
    somebody does; or it is refused in a sentence, and works later."""
    make_database(p.a, DB)
    make(p.a, DB, "a", 4, 2)
    make(p.a, DB, "b", 2, 1)
    fill(p.a, DB, "a", 3000)
    p.proxy.cut()
    r = p.command(*p.configure_args())
    assert r.code == 1 and len(r.err.strip().splitlines()) == 1, r
    assert not p.read_only(p.b) and p.status()["status"] in ("", "inactive"), r
    p.proxy.mend()
    p.configure()
    p.wait_running(45)
    p.wait_equal(20)
    assert p.proxy.bytes > 300000, "the data does not go through the proxy"


def both_restarted(p):
    with Writer(p.a, WHERE, seed=1) as w:
        for how in ("kill", "stop"):
            n = w.taken
            wait_for(lambda: w.taken > n + 50, "writes", 30)
            for m in p.masters:
                getattr(m, how)()
            for m in p.masters:
                m.start()
        n = w.taken
        wait_for(lambda: w.taken > n + 50, "writes", 30)
        w.stop()
    p.wait_running(60)
    p.wait_equal(40)


def written_while_all_is_down(p):
    for m in p.masters:
        m.kill()
    fill(p.a, DB, "a", 20000, prefix="down")
    good(p.a.put(f"/_db/{DB}/_api/collection/b/truncate"))
    fill(p.a, DB, "b", 2000, prefix="down")
    make(p.a, DB, "made-while-down", 3, 1)
    fill(p.a, DB, "made-while-down", 500)
    # the source's log is not kept for us meanwhile: it may be pruned
    for n in (1, 2, 3):
        p.a.run("prune-wal", f"dbserver{n}")
    for m in p.masters:
        m.start()
    p.wait_running(60)
    p.wait_equal(40)


def link_cut(p):
    """Longer than a session lives, with more than pipes hold."""
    for how in ("cut", "stall"):
        with Writer(p.a, WHERE, seed=2) as w:
            n = w.taken
            wait_for(lambda: w.taken > n + 50, "writes", 30)
            getattr(p.proxy, how)()
            fill(p.a, DB, "a", 4000, size=5000, prefix=how)
            wait_for(lambda: w.taken > n + 300, "writes", 40)
            p.proxy.mend()
            w.stop()
        p.wait_equal(60)


def link_flaps(p):
    with Writer(p.a, WHERE, seed=3) as w:
        for _ in range(8):
            n = w.taken
            wait_for(lambda: w.taken > n + 20, "writes", 30)
            p.proxy.cut()
            p.proxy.mend()
        w.stop()
    p.wait_running(40)
    p.wait_equal(40)


def source_master_away(p):
    """The target says so, and does not call itself well for ever."""
    p.ma.kill()
    fill(p.a, DB, "b", 3000, prefix="away")
    r = p.command("get", "status")
    assert r.code == 0, r
    p.ma.start()
    p.wait_running(60)
    p.wait_equal(40)


def dies_in_the_first_copy(p):
    """Both masters, again and again, while a large collection is copied."""
    make(p.a, DB, "large", 3, 1)
    fill(p.a, DB, "large", 30000, size=600)
    for i in range(3):
        at = 2000 * (i + 1)
        path = f"/_db/{DB}/_api/collection/large/count"
        wait_for(lambda: p.b.get(path).status == 200 and
                 p.b.get(path).json["count"] > at, "the copy goes on", 40)
        for m in p.masters:
            m.kill()
        for m in p.masters:
            m.start()
    p.wait_running(60)
    p.wait_equal(40)


def resumes_by_log(p):
    """After a restart nothing is copied again that is there: what goes over
    the link is what was written since."""
    p.wait_running(40)
    time.sleep(3)               # what is applied has settled (--apply.settle)
    had = p.proxy.bytes
    for m in p.masters:
        m.kill()
    fill(p.a, DB, "large", 100, prefix="few", size=600)
    for m in p.masters:
        m.start()
    p.wait_running(60)
    p.wait_equal(40)
    sent = p.proxy.bytes - had
    print(f"# {sent} bytes went over the link for 60000 bytes of news")
    assert sent < 5000000, f"{sent} bytes: everything was sent again"


def stopped(p):
    p.check_sync()
    p.stop()
    p.assert_equal(20000)


run_all("masters", [begin, both_restarted, written_while_all_is_down, link_cut,
                    link_flaps, source_master_away, dies_in_the_first_copy,
                    resumes_by_log, stopped], Pair(proxy=True), 240)
