#!/usr/bin/env python3
"""A master whose cluster is a source: sessions, processes that come and go,
the barrier, the end of a synchronisation.  The target is a script: it opens
sessions and subscribes, and reads what comes without understanding it.
"""
import http.client
import json
import os
import signal
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from master_lib import Kit, Master, is_alive
from sandbox import SLOW, Cluster, Tap, wait_for

T1 = "11111111-aaaa-bbbb-cccc-000000000001"
T2 = "22222222-aaaa-bbbb-cccc-000000000002"
SUBSCRIBE, CLOSED, PING = 0x0800, 0x0817, 0x0812


def put_str(s):
    b = s.encode()
    return struct.pack("<I", len(b)) + b


class Target:
    """The other end of /_x/v1/session."""

    def __init__(self, master, cluster):
        self.m, self.cluster, self.frames = master, cluster, []
        r = self.call("POST", "/_x/v1/session", {
            "target": cluster, "version": "0.1.0", "protocol": 1,
            "endpoints": [f"https://target-{cluster[0]}:8629"]})
        assert r.status == 200, r
        self.hello = r.json
        self.id = r.json["session"]
        self.open = True
        self.conns = [self.stream(s) for s in ("live", "bulk")]
        threading.Thread(target=self.ping, daemon=True).start()

    def ping(self):
        while self.open:
            self.up(struct.pack("<IHHIIQ", 8, PING, 0, 0, 0, time.time_ns() // 1000))
            time.sleep(5)

    def up(self, data):
        c = http.client.HTTPSConnection("127.0.0.1", self.m.port, timeout=20,
                                        context=self.m.context("client.keyfile"))
        try:
            c.request("POST", f"/_x/v1/session/{self.id}/up", data)
            return c.getresponse().status
        except OSError:
            return 0
        finally:
            c.close()

    def call(self, method, path, body=None):
        return self.m.call(method, path, body, cert="client.keyfile")

    def stream(self, which):
        c = http.client.HTTPSConnection("127.0.0.1", self.m.port, timeout=120,
                                        context=self.m.context("client.keyfile"))
        c.request("GET", f"/_x/v1/session/{self.id}/{which}")
        threading.Thread(target=self.read, args=(c,), daemon=True).start()
        return c

    def read(self, c):
        try:
            r = c.getresponse()
            while True:
                h = r.read(16)
                if len(h) < 16:
                    break
                n, typ, flags, channel, ident = struct.unpack("<IHHII", h)
                self.frames.append((typ, channel, ident, r.read(n)))
        except (OSError, http.client.HTTPException, ValueError):
            pass
        self.open = False

    def subscribe(self, channel, ident, db, cid, shard):
        p = put_str(db) + struct.pack("<QI", int(cid), shard) + b"\0" + \
            put_str("20000") + put_str("PRMR-target") + struct.pack("<Q", 1) + \
            put_str("")
        frame = struct.pack("<IHHII", len(p), SUBSCRIBE, 0, channel, ident) + p
        wait_for(lambda: self.up(frame) == 200, "subscribed", 5)

    def got(self, channel, typ=None):
        return [f for f in self.frames if f[1] == channel and
                (typ is None or f[0] == typ)]

    def end(self):
        self.call("DELETE", f"/_x/v1/session/{self.id}")


class World:
    pass


w = World()


def state(*path):
    o = w.cluster.agency("/arangodb/arangosync") or {}
    for p in path:
        o = o.get(p) if isinstance(o, dict) else None
    return o


def outgoing():
    r = w.m.get("/_api/sync")
    return r.json.get("outgoing", []) if r.status == 200 else None


def processes(prefix):
    return {n: p for n, p in w.m.children().items() if n.startswith(prefix)}


def collection(name, shards=2, db="_system"):
    r = w.cluster.post(f"/_db/{db}/_api/collection",
                       {"name": name, "numberOfShards": shards,
                        "replicationFactor": 2})
    assert r.status == 200, r
    return r.json["id"]


def cid_of_plan(name):
    cols = w.cluster.agency("/arango/Plan/Collections/_system")
    return [k for k, v in cols.items() if v["name"] == name][0]


def read_only():
    r = w.cluster.get("/_admin/server/mode")
    assert r.status == 200, r
    return r.json["mode"] == "readonly"


# ---- nothing yet --------------------------------------------------------------------

def who_it_is():
    r = wait_for(lambda: (lambda r: r if r.status == 200 else None)(
        w.m.get("/_x/v1/info")), "info")
    assert r.json["cluster"] == w.cluster.agency("/arango/Cluster"), r.json
    assert r.json["role"] == "cluster" and r.json["protocol"] == 1
    assert r.json["arangodb"].startswith("3.") and r.json["endpoints"] == [w.m.url]
    assert not outgoing() and not processes("tail ") and not processes("inventory ")
    r = w.m.call("GET", "/_x/v1/info", auth="bearer " + "monitor-me")
    assert r.status in (401, 403), r
    for method, path in (("DELETE", f"/_api/sync/outgoing/{T1}"),
                         ("POST", f"/_x/v1/barrier/{T1}"),
                         ("GET", f"/_x/v1/barrier/{T1}/ticks"),
                         ("DELETE", f"/_x/v1/barrier/{T1}"),
                         ("DELETE", "/_api/sync/outgoing/..%2f..")):
        r = w.m.call(method, path, {}, cert="client.keyfile")
        assert r.status == 404 and "not found" in r.json["Error"], (path, r)


def shards():
    collection("things", 3)
    r = wait_for(lambda: (lambda j: j if "things" in j["datacenters"][0][
        "databases"]["_system"]["collections"] else None)(
            w.m.get("/_x/v1/shards").json), "the collection is known")
    dc = r["datacenters"][0]
    assert dc["id"] == w.cluster.agency("/arango/Cluster")
    things = dc["databases"]["_system"]["collections"]["things"]
    assert things["collection_id"] == cid_of_plan("things")
    assert [things["shards"][str(i)]["ID"] for i in range(3)] == \
        list(w.cluster.shards("things"))
    assert "_users" in dc["databases"]["_system"]["excluded_collections"]


# ---- a session ------------------------------------------------------------------------

def a_session():
    w.t = Target(w.m, T1)
    assert w.t.hello["source"] == w.cluster.agency("/arango/Cluster")
    o = wait_for(lambda: state("synchronizationState", "outgoing", "targets", T1),
                 "stored")
    assert o["id"] == T1 and o["target"] == ["https://target-1:8629"]
    assert o["active_barrier"] is False, o
    assert state("synchronizationState", "structureVersion") == "0.2"
    servers = [s["id"] for s in w.cluster.info()["servers"] if s["role"] == "dbserver"]
    wait_for(lambda: set(processes("tail ")) == {"tail " + s for s in servers},
             "a tail for each DB-server")
    wait_for(lambda: set(processes("inventory ")) == {"inventory source"}, "inventory")
    i = outgoing()
    assert len(i) == 1 and i[0]["id"] == T1 and i[0]["x"]["session"], i
    assert i[0]["endpoint"] == ["https://target-1:8629"]
    tasks = w.m.get("/_api/task").json["tasks"]
    assert [t["task"]["type"] for t in tasks] == ["send-inventory"], tasks
    assert all(len(t["id"]) == 16 for t in tasks)


def a_channel():
    cid = cid_of_plan("things")
    for i in range(3):
        w.t.subscribe(10 + i, 1, "_system", cid, i)
    wait_for(lambda: set(processes("send ")) == {f"send _system/things/{i}"
                                                for i in range(3)}, "sends")
    tasks = w.m.get("/_api/task").json["tasks"]
    assert sorted(t["task"].get("shardIndex", -1) for t in tasks) == [-1, 0, 1, 2]
    assert wait_for(lambda: state("x", "leaders", cid, "2"), "leaders are stored") \
        == {"server": w.cluster.shards("things")[list(w.cluster.shards("things"))[2]][0],
            "changes": 1}


def refused():
    w.t.subscribe(50, 1, "_system", "999999999", 0)
    w.t.subscribe(51, 1, "nowhere", "1", 0)
    w.t.subscribe(52, 1, "_system", cid_of_plan("things"), 7)
    for channel, words in ((50, "no such collection"), (51, "no such database"),
                           (52, "no such shard")):
        f = wait_for(lambda: w.t.got(channel, CLOSED), f"channel {channel} is closed")
        assert words.encode() in f[0][3], f


def session_goes():
    w.t.end()
    wait_for(lambda: not outgoing()[0]["x"]["session"], "the session is over")
    pids = processes("send ")
    assert len(pids) == 3 and len(processes("tail ")) == 3
    w.t = Target(w.m, T1)
    wait_for(lambda: outgoing()[0]["x"]["session"], "the session is back")
    assert processes("send ") == pids


# ---- processes that die ------------------------------------------------------------------

def control_dies():
    """Whoever works goes on: same processes, and tokens for them."""
    before = {**processes("send "), **processes("tail "), **processes("inventory ")}
    os.kill(w.m.children()["control"], signal.SIGKILL)
    wait_for(w.m.leads, "leads again")
    wait_for(lambda: outgoing() and outgoing()[0]["x"]["session"],
             "the session is known again")
    time.sleep(1)
    after = {**processes("send "), **processes("tail "), **processes("inventory ")}
    assert before == after, (before, after)
    assert len(w.m.get("/_api/task").json["tasks"]) == 4
    wait_for(lambda: all("server" in x for x in outgoing()[0]["x"]["tails"]), "tails")


def all_die():
    w.m.kill()
    w.m.start()
    wait_for(w.m.leads, "leads at once", 15)
    wait_for(lambda: len(processes("tail ")) == 3 and processes("inventory "),
             "everything starts from the agency", 15)
    i = outgoing()
    assert i[0]["id"] == T1 and not i[0]["x"]["session"], i
    w.t = Target(w.m, T1)
    wait_for(lambda: outgoing()[0]["x"]["session"], "the target is back")
    cid = cid_of_plan("things")
    for i in range(3):
        w.t.subscribe(10 + i, 1, "_system", cid, i)
    wait_for(lambda: len(processes("send ")) == 3, "sends")


def leader_moves():
    cid = cid_of_plan("things")
    name = list(w.cluster.shards("things"))[0]
    servers = w.cluster.shards("things")[name]
    to = w.cluster.server_of_id(servers[1])
    old = processes("send ")["send _system/things/0"]
    other = processes("send ")["send _system/things/1"]
    w.cluster.run("move-shard", "_system", "things", "0", to["name"])
    wait_for(lambda: processes("send ").get("send _system/things/0", old) != old,
             "another process, at the new leader")
    wait_for(lambda: state("x", "leaders", cid, "0") ==
             {"server": servers[1], "changes": 2}, "the change is counted")
    assert processes("send ")["send _system/things/1"] == other


def collection_goes():
    cid = collection("gone", 1)
    wait_for(lambda: "gone" in w.m.get("/_x/v1/shards").json["datacenters"][0][
        "databases"]["_system"]["collections"], "known")
    w.t.subscribe(30, 1, "_system", cid_of_plan("gone"), 0)
    wait_for(lambda: "send _system/gone/0" in processes("send "), "its send")
    queues = os.path.join(w.m.data, "queues", T1)
    mine = lambda: [n for n in (os.listdir(queues) if os.path.isdir(queues) else [])
                    if f".{cid}." in n]
    wait_for(mine, "its queue")
    r = w.cluster.delete("/_api/collection/gone")
    assert r.status == 200, r
    wait_for(lambda: "send _system/gone/0" not in processes("send "), "it ends", 40)
    wait_for(lambda: not mine(), "its queue is removed")
    assert len(processes("send ")) == 3


def second_target():
    t = Target(w.m, T2)
    wait_for(lambda: len(outgoing()) == 2, "two targets")
    # one of the servers may lead nothing any more
    wait_for(lambda: sum(n.endswith(" to 22222222") for n in processes("tail ")) >= 2,
             "tails of its own")
    assert len(processes("inventory ")) == 1
    t.subscribe(10, 1, "_system", cid_of_plan("things"), 1)
    wait_for(lambda: "send _system/things/1 to 22222222" in processes("send "), "send")
    r = w.m.call("DELETE", f"/_api/sync/outgoing/{T2}", cert="client.keyfile")
    assert r.status == 200 and r.json == {}, r
    wait_for(lambda: [x["id"] for x in outgoing()] == [T1], "one is left")
    wait_for(lambda: not any("22222222" in n for n in processes("tail ")),
             "its tails are gone")
    assert len(processes("tail ")) == 3
    wait_for(lambda: not t.open, "its session has ended")
    assert state("synchronizationState", "outgoing", "targets", T2) is None
    assert len(processes("send ")) == 3


# ---- the barrier ----------------------------------------------------------------------------

def barrier(method, what="", body=None):
    r = w.m.call(method, f"/_x/v1/barrier/{T1}{what}", body, cert="client.keyfile")
    return r


def barrier_locks():
    assert barrier("POST", body={"lease_ms": 5}).status == 400
    assert not read_only()
    r = barrier("POST", body={"lease_ms": 30000})
    assert r.status == 200 and r.json == {"locked": True}, r
    assert read_only()
    assert state("x", "barrier", T1)["previous"] == "default"
    assert state("synchronizationState", "outgoing", "targets", T1)["active_barrier"]
    assert outgoing()[0]["active_barrier"] is True
    wait_for(lambda: barrier("GET", "/servers").json["ready"], "all are read-only")
    r = barrier("GET", "/writers").json
    assert r["writers"] == 0 and r["longest_ms"] >= 1000, r
    r = barrier("GET", "/ticks").json
    assert len(r["servers"]) == 3 and all(x["tick"] > 0 and x["reboot_id"] > 0
                                         for x in r["servers"]), r
    assert r["plan"] == w.cluster.agency("/arango/Plan/Version")
    assert barrier("POST", body={"lease_ms": 30000}).status == 200
    r = barrier("DELETE")
    assert r.status == 200 and not read_only(), r
    assert state("x", "barrier", T1) is None
    assert barrier("DELETE").status == 200


def barrier_names_writers():
    r = w.cluster.post("/_api/transaction/begin",
                       {"collections": {"write": ["things"]}})
    assert r.status == 201, r
    ident = r.json["result"]["id"]
    r = barrier("GET", "/writers").json
    assert r["writers"] == 1 and ident in r["what"], r
    assert w.cluster.delete(f"/_api/transaction/{ident}").status == 200
    assert barrier("GET", "/writers").json["writers"] == 0


def lease_ends():
    assert barrier("POST", body={"lease_ms": 2000}).status == 200
    assert read_only()
    wait_for(lambda: not read_only(), "writable again", 10)
    wait_for(lambda: state("x", "barrier", T1) is None, "forgotten")


def lease_ends_after_a_crash():
    assert barrier("POST", body={"lease_ms": 3000}).status == 200
    w.m.kill()
    assert read_only()
    w.m.start()
    wait_for(w.m.leads, "leads")
    wait_for(lambda: not read_only(), "writable again", 15)


def mode_of_before():
    """Who was read-only before stays so."""
    r = w.cluster.put("/_admin/server/mode", {"mode": "readonly"})
    assert r.status == 200, r
    assert barrier("POST", body={"lease_ms": 30000}).status == 200
    assert barrier("DELETE").status == 200
    assert read_only()
    assert w.cluster.put("/_admin/server/mode", {"mode": "default"}).status == 200


# ---- the end ---------------------------------------------------------------------------------

def held(server):
    r = w.cluster.connect(server["name"]).get("/_api/replication/logger-state")
    assert r.status == 200, r
    return [c for c in r.json["clients"]]


def ends():
    w.t = Target(w.m, T1)
    wait_for(lambda: outgoing()[0]["x"]["session"], "the target is back")
    w.t.subscribe(10, 1, "_system", cid_of_plan("things"), 1)
    wait_for(lambda: len(processes("send ")) == 3, "sends, for their queues are there")
    servers = [w.cluster.server_of_id(n.removeprefix("tail "))
               for n in processes("tail ")]
    assert servers
    wait_for(lambda: all(held(s) for s in servers), "logs are held", 40)
    assert barrier("POST", body={"lease_ms": 30000}).status == 200
    r = w.m.call("DELETE", f"/_api/sync/outgoing/{T1}?server_mode=x",
                 cert="client.keyfile")
    assert r.status == 400, r
    r = w.m.call("DELETE", f"/_api/sync/outgoing/{T1}?server_mode=default",
                 cert="client.keyfile")
    assert r.status == 200, r
    wait_for(lambda: not outgoing(), "it has ended")
    assert not read_only()
    assert not processes("tail ") and not processes("send ")
    wait_for(lambda: not processes("inventory "), "no inventory")
    assert not os.path.exists(os.path.join(w.m.data, "queues", T1))
    assert "outgoing" not in (state("synchronizationState") or {})
    assert state("x", "barrier") in (None, {}) and not state("x", "leaders")
    assert not any(held(s) for s in servers), [held(s) for s in servers]
    wait_for(lambda: not w.t.open, "the session has ended")
    r = w.m.call("DELETE", f"/_api/sync/outgoing/{T1}", cert="client.keyfile")
    assert r.status == 404, r


def stops_in_time():
    w.t = wait_for(lambda: start_again(), "a target begins anew")
    wait_for(lambda: processes("tail ") and processes("inventory "), "they run")
    code, seconds = w.m.stop()
    assert code == 0 and seconds < 20 * SLOW, (code, seconds)
    assert state("x", "lastLeader").get("left") is True, state("x")
    assert state("leader") is None


def another_master():
    """Who finds a lease that ran out waits for the other one's processes;
    what was agreed with the target goes on there."""
    a = w.m
    a.start()
    wait_for(a.leads, "leads")
    b = Master(w.kit, "b", [w.cluster.server("coordinator1")["endpoint"]],
               w.cluster.secret)
    b.start()
    b.wait_version()
    assert set(a.get("/_x/v1/info").json["endpoints"]) >= {a.url}
    wait_for(lambda: set(a.get("/_x/v1/info").json["endpoints"]) == {a.url, b.url},
             "the other datacenter is told both")
    t = Target(a, T1)
    t.subscribe(10, 1, "_system", cid_of_plan("things"), 1)
    wait_for(lambda: processes("send "), "a send")
    a.kill()
    began = time.monotonic()
    w.m = b
    wait_for(lambda: outgoing() and processes("tail ") and processes("inventory "),
             "the other one goes on", 45)
    took = time.monotonic() - began
    print(f"# after {took:.1f} s")
    assert b.logged("another master led before")
    assert [x["id"] for x in outgoing()] == [T1]
    t = Target(b, T1)
    t.subscribe(10, 1, "_system", cid_of_plan("things"), 1)
    wait_for(lambda: processes("send "), "a send")
    # the first one is back, and only looks on
    a.start()
    a.wait_version()
    wait_for(lambda: len(state("masters")) == 2, "both are there")
    time.sleep(1)
    assert not a.leads() and b.leads()
    assert set(a.children()) == {"control", "api"}, a.children()


def start_again():
    t = Target(w.m, T1)
    time.sleep(0.5)
    return t if t.open else None


TESTS = [
    ("says who it is, and knows no target", who_it_is),
    ("lists its shards", shards),
    ("a session: stored, tails and an inventory run", a_session),
    ("a channel: its send runs", a_channel),
    ("a channel that cannot be had is refused in words", refused),
    ("a session ends and comes back: all goes on", session_goes),
    ("control is killed: nobody else is touched", control_dies),
    ("the whole daemon is killed: goes on from the agency", all_die),
    ("a leader moves: another send, counted", leader_moves),
    ("a collection is dropped: its send and its queue go", collection_goes),
    ("a second target has processes of its own", second_target),
    ("the barrier locks, answers and unlocks", barrier_locks),
    ("the barrier names who writes", barrier_names_writers),
    ("a lease that ends restores the mode", lease_ends),
    ("... also after the daemon was killed", lease_ends_after_a_crash),
    ("a mode of before is kept", mode_of_before),
    ("a synchronisation ends without a trace", ends),
    ("SIGTERM with work under way ends in time", stops_in_time),
    ("another master takes over", another_master),
]


def main():
    tap = Tap(len(TESTS))
    with Cluster(auth=True, dbservers=3) as c, Kit() as kit:
        w.cluster, w.kit = c, kit
        w.m = Master(kit, "a", [c.server("coordinator1")["endpoint"]], c.secret)
        w.m.start()
        w.m.wait_version()
        wait_for(w.m.leads, "leads")
        good = True
        for name, fn in TESTS:
            if good:
                good = tap.run(name, fn)
            else:
                tap.skip(name, "an earlier one failed")
        if tap.failed and os.path.exists(w.m.log):
            with open(w.m.log, errors="replace") as f:
                for line in f.readlines()[-60:]:
                    print("#", line.rstrip())
    tap.finish()


if __name__ == "__main__":
    main()
