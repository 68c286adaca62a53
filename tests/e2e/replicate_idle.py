#!/usr/bin/env python3
"""Processes of shards that nothing is written to: they leave, come back with the
next write, and nothing is lost over it, whoever is killed meanwhile."""
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import fill, good, make
from sandbox import wait_for

SHARDS = 6


class IdlePair(Pair):
    timeout = "1s"

    def make_master(self, kit, name, cluster):
        m = super().make_master(kit, name, cluster)
        m.flags["shard.idle-timeout"] = [self.timeout]
        m.flags["apply.settle"] = ["500ms"]
        return m


def awake(p):
    return sorted(list(p.ma.find("send")) + list(p.mb.find("receive")))


def wait_asleep(p, seconds=40):
    wait_for(lambda: not awake(p), "all processes of shards have left", seconds)


def assert_running(p):
    s = p.status()
    assert s["status"] == "running", s
    assert len(p.running_shards(s)) == len(p.wanted_shards()), s["shards"]
    for x in p.status(p.ma)["outgoing"]:
        assert x["status"] == "running", x


def insert_one(p, key, coll="one"):
    good(p.a.post(f"/_api/document/{coll}", {"_key": key, "v": key}))


def wait_arrived(p, key, coll="one", seconds=10):
    wait_for(lambda: p.b.get(f"/_api/document/{coll}/{key}").status == 200,
             f"{key} arrives", seconds)


def all_leave(p):
    make(p.a, "_system", "one", 1, 1)
    make(p.a, "_system", "many", SHARDS, 2)
    fill(p.a, "_system", "many", 500)
    insert_one(p, "first")
    p.configure()
    p.wait_running(60)
    p.wait_equal(30)
    wait_asleep(p)
    assert_running(p)
    time.sleep(2)
    assert not awake(p), awake(p)


def a_write_brings_back_its_own(p):
    seen, over = set(), threading.Event()

    def watch():
        while not over.is_set():
            seen.update(awake(p))
            time.sleep(0.05)
    t = threading.Thread(target=watch)
    t.start()
    insert_one(p, "second")
    wait_arrived(p, "second", seconds=8)
    time.sleep(0.5)
    assert_running(p)
    over.set()
    t.join()
    assert seen == {"send _system/one/0", "receive _system/one/0"}, seen
    wait_asleep(p)


def complete_goes_on(p):
    """What is asleep does not hold the others up."""
    def complete():
        return p.status()["x"]["link"].get("complete_us", 0)
    wait_asleep(p)
    before = complete()
    wait_for(lambda: complete() > before + 1500000, "the target is complete "
             "up to a later time", 10)


def check_while_asleep(p):
    wait_asleep(p)
    p.check_sync()
    wait_asleep(p)


def reset_while_asleep(p):
    wait_asleep(p)
    r = p.mb.call("PUT", "/_api/sync/database/_system/collection/one/shard/0"
                  "/reset", {}, cert="client.keyfile")
    assert r.status == 200, r
    wait_for(lambda: p.mb.find("receive"), "it is repaired", 10)
    wait_asleep(p)
    p.assert_equal()


def killed(name, at):
    def fn(p):
        wait_asleep(p)
        (p.ma if at == "a" else p.mb).kill_child(name)
        fill(p.a, "_system", "many", 100, prefix=f"{name}-{at}-")
        insert_one(p, f"{name}-{at}")
        p.wait_running(40)
        p.wait_equal(40)
        wait_asleep(p, 60)
        assert_running(p)
    fn.__name__ = f"{name}_of_{at}_is_killed_while_all_sleep"
    return fn


def server_restarts_while_asleep(p):
    wait_asleep(p)
    p.a.run("kill", "dbserver1")
    p.a.run("start", "dbserver1")
    fill(p.a, "_system", "many", 100, prefix="restarted-")
    p.wait_equal(60)
    wait_asleep(p, 60)


def dropped_while_asleep(p):
    make(p.a, "_system", "gone", 2, 1)
    fill(p.a, "_system", "gone", 10)
    p.wait_running(40)
    p.wait_equal(40)
    wait_asleep(p)
    good(p.a.delete("/_api/collection/gone"))
    p.wait_equal(60)
    wait_for(lambda: p.status(p.ma)["outgoing"][0]["shardsCount"] ==
             SHARDS + 1, "the source forgets its shards", 40)
    wait_asleep(p, 60)
    complete_goes_on(p)


def stop_while_asleep(p):
    wait_asleep(p)
    p.stop()
    p.assert_equal()
    assert not awake(p), awake(p)


def times_left(p):
    n = 0
    for m in p.masters:
        with open(m.log, errors="replace") as f:
            n += f.read().count("nothing to do: sleeps")
    return n


def races(p):
    """They leave all the time, and writes come at any moment of it."""
    make(p.a, "_system", "race", 4, 1)
    p.configure()
    p.wait_running(60)
    end = time.monotonic() + 20
    r, n, before = random.Random(7), 0, times_left(p)
    while time.monotonic() < end:
        n += 1
        insert_one(p, f"r{n}", r.choice(("race", "many")))
        # a shard is left alone for about as long as its processes stay
        time.sleep(r.uniform(0.05, 0.6))
    left = times_left(p) - before
    print(f"# {n} writes, {left} times a process has left")
    assert left > 10, left
    p.wait_equal(40)
    p.check_sync()


TESTS = [all_leave, a_write_brings_back_its_own, complete_goes_on,
         check_while_asleep, reset_while_asleep,
         killed("tail", "a"), killed("api", "a"), killed("control", "a"),
         killed("link", "b"), killed("control", "b"),
         dropped_while_asleep, server_restarts_while_asleep,
         stop_while_asleep]


def short(p):
    for m in p.masters:
        m.stop()
        m.flags["shard.idle-timeout"] = ["100ms"]
        m.flags["apply.settle"] = ["100ms"]
        m.start()
    for m in p.masters:
        m.wait_version(20)
        wait_for(m.leads, f"{m.name} leads", 40)


def leaving_races_with_writes(p):
    short(p)
    races(p)


run_all("idle", TESTS + [leaving_races_with_writes], IdlePair(dbservers=2),
        480)
