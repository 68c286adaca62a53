#!/usr/bin/env python3
"""Masters beside a sandbox cluster: who may ask, who leads, what is left after
processes were killed, what signals do, what happens while the cluster is away.

Two things take the 30 seconds of a lease, or of being away; they run beside
the others.
"""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from master_lib import MONITOR, Kit, Master, is_alive
from sandbox import SLOW, Cluster, Tap, basic, jwt, wait_for

HOUR = 3600 * 10**9


class World:
    """Masters a and b as kube-arangodb starts them, c as the Starter does;
    d belongs to a cluster that comes and goes."""


w = World()


def leader():
    return [m for m in w.abc if m.leads()]


def state():
    return w.cluster.agency("/arangodb/arangosync") or {}


def id_of(m):
    ids = [i for i, e in state().get("masters", {}).items() if e == m.url]
    assert len(ids) == 1, (m.url, state())
    return ids[0]


def token(**claims):
    return "bearer " + jwt(claims, w.kit.secret)


# ---- the cluster that is not there yet ----------------------------------------------

def before_the_cluster():
    w.late.run("stop")
    w.d.start()
    w.d.wait_version()
    assert w.d.try_status("/_api/role") == 200
    r = w.d.get("/_api/health")
    assert r.status == 503 and "Error" in r.json, r
    assert w.d.get("/_api/message-timeout", forward=True).status == 503
    assert w.d.process.poll() is None


def cluster_comes():
    w.late.launch()
    wait_for(w.d.leads, "leads once its cluster is there", 30)
    wait_for(lambda: w.d.try_status("/_api/health") == 200, "healthy")


def agent_goes():
    w.late.run("kill", "agent1")
    w.agent_gone = time.monotonic()
    assert w.d.try_status("/_api/version") == 200


def unhealthy_after_30_s():
    def bad():
        r = w.d.get("/_api/health")
        return r if r.status == 503 else None
    left = 30 * SLOW - (time.monotonic() - w.agent_gone)
    r = wait_for(bad, "unhealthy", max(left, 0) / SLOW + 8)
    assert time.monotonic() - w.agent_gone > 25, "too early"
    assert "agency" in r.json["Error"], r
    t = time.monotonic()
    assert w.d.try_status("/_api/version") == 200
    assert time.monotonic() - t < 2
    w.late.run("start", "agent1")
    wait_for(lambda: w.d.try_status("/_api/health") == 200, "healthy again", 20)
    wait_for(w.d.leads, "leads again", 35)


def another_secret():
    """The cluster changes its secret; SIGHUP tells the daemon."""
    w.late.run("stop")
    with open(w.late.secret, "w") as f:
        f.write("quite another secret")
    w.late.launch()
    w.d.process.send_signal(signal.SIGHUP)
    wait_for(lambda: w.d.logged("the secret of --cluster.jwt-secret has changed"),
             "the new secret is taken")
    wait_for(lambda: w.d.leads() and w.d.try_status("/_api/health") == 200,
             "works with the new secret", 35)
    code, seconds = w.d.stop()
    assert code == 0, code


# ---- starting, asking -----------------------------------------------------------------

def start_masters():
    w.a.start()
    w.a.wait_version()
    wait_for(w.a.leads, "the only master leads")
    w.b.start()
    w.c.start()
    for m in (w.b, w.c):
        m.wait_version()
    wait_for(lambda: len(state()["masters"]) == 3, "three masters")
    assert leader() == [w.a]


def lists():
    for m in w.abc:
        v = m.get("/_api/version").json
        assert re.match(r"\d+\.\d+\.\d+", v["version"]) and v["build"], v
        assert m.get("/_api/role").json == {"role": "master"}
        wait_for(lambda: m.get("/_api/health").status == 200, "healthy")
        wait_for(lambda: len(m.get("/_api/masters").json["masters"]) == 3, "all")
        r = m.get("/_api/masters").json["masters"]
        assert {x["endpoint"] for x in r} == {x.url for x in w.abc}, r
        assert [x["endpoint"] for x in r if x["leader"]] == [w.a.url], r
        assert all(re.fullmatch("[0-9a-f]{32}", x["id"]) for x in r), r
        assert set(m.get("/_api/endpoints").json["endpoints"]) == \
            {x.url for x in w.abc}
        assert m.get("/_api/leader/endpoint").json == {"endpoints": [w.a.url]}
        r = m.get("/_api/sync", forward=True)
        assert r.status == 200 and r.json["status"] == "inactive", r
        assert m.get("/_api/nothing").status == 404
        assert m.call("POST", "/_api/masters", {}, cert="client.keyfile").status == 405
    assert w.a.get("/_api/task").json == {}
    assert w.a.get("/_api/worker").json == {"workers": []}
    r = w.a.get("/metrics")
    assert r.status == 200 and r.headers["content-type"].startswith("text/plain")
    assert b"arangosync_master_worker_registrations 0" in r.body, r.body
    r = w.a.get("/metrics.json").json
    assert r["arangosync_master_worker_registrations"] == {
        "help": "Total number of registrations", "type": "counter",
        "samples": [{"value": 0}]}, r
    assert {"value": 0, "labels": {"kind": "", "op": "load", "result": "success"}} in \
        r["arangosync_master_worker_storage"]["samples"], r
    # nothing is synchronised: stopping is done, a barrier cannot be had
    c = {"cert": "client.keyfile"}
    assert w.a.call("DELETE", "/_api/sync", {}, **c).status == 200
    assert w.a.call("DELETE", "/_api/sync/barrier", **c).status == 200
    assert w.a.call("POST", "/_api/sync/barrier", **c).status == 412
    assert w.a.call("POST", "/_api/sync", {}, **c).status == 400


def agency_keys():
    s = state()
    ids = s["masters"]
    assert {e for e in ids.values()} == {m.url for m in w.abc}, s
    assert ids[s["leader"]] == w.a.url, s
    v = w.a.get("/_api/version").json
    assert s["programVersion"] == f"{v['version']}+{v['build']}", s
    # each names the data directory's own id, which a restart keeps
    with open(os.path.join(w.a.data, "master-id")) as f:
        assert f.read() == s["leader"]


def message_timeout():
    for m in w.abc:
        r = m.get("/_api/message-timeout", forward=True)
        assert r.json == {"messageTimeout": HOUR}, r
    body = {"messageTimeout": 3 * HOUR}
    r = w.b.call("PUT", "/_api/message-timeout", body, cert="client.keyfile")
    assert r.status == 503 and "leader" in r.json["Error"], r
    r = w.b.call("PUT", "/_api/message-timeout", body, cert="client.keyfile",
                 forward=True)
    assert r.status == 200, r
    for m in w.abc:
        r = m.get("/_api/message-timeout", forward=True)
        assert r.json == {"messageTimeout": 3 * HOUR}, r
    for bad in ({}, {"messageTimeout": 0}, {"messageTimeout": "1h"}, [1]):
        r = w.a.call("PUT", "/_api/message-timeout", bad, cert="client.keyfile")
        assert r.status == 400, (bad, r)


def forwarding():
    """Whoever may ask a follower may ask the leader through it."""
    for kw in ({"cert": "client.keyfile"}, {"auth": token(iss="arangosync")},
               {"auth": basic("root", "geheim")}):
        for m in (w.b, w.c):
            assert m.call("GET", "/_api/task", **kw).status == 503
            assert m.call("GET", "/_api/task", forward=True, **kw).status == 200
        assert w.a.call("GET", "/_api/task", forward=True, **kw).status == 200
    assert w.b.call("GET", "/_api/task", forward=True).status == 401


def refused(**kw):
    """401, or no TLS connection at all."""
    try:
        r = w.a.call("GET", "/_api/masters", **kw)
    except (ssl.SSLError, ConnectionError):
        return True
    assert r.status == 401 and "Error" in r.json, r
    return True


def credentials():
    def good(path="/_api/masters", **kw):
        r = w.a.call("GET", path, **kw)
        assert r.status == 200, (path, kw, r)
    refused()
    good(cert="client.keyfile")
    refused(cert="wrong.keyfile")
    w.kit.client("short.keyfile", "--validfor", "1s")
    good(auth=basic("root", "geheim"))
    refused(auth=basic("root", "falsch"))
    refused(auth=basic("nobody", "geheim"))
    refused(auth="Basic ???")
    w.cluster.post("/_api/user", {"user": "reader", "passwd": "r"})
    w.cluster.put("/_api/user/reader/database/_system", {"grant": "ro"})
    refused(auth=basic("reader", "r"))
    good(auth=token(iss="arangosync", server_id="foo"))
    good(auth=token(iss="arangodb", server_id="foo"))
    good(auth=token(exp=int(time.time()) + 60))
    good(auth="Bearer " + token()[7:])
    refused(auth=token(exp=int(time.time()) - 5))
    refused(auth="bearer " + jwt({"iss": "arangosync"}, "another secret"))
    refused(auth=token()[:-4] + "AAAA")
    refused(auth="bearer x")
    one = token(iss="arangodb", server_id="kube-arangodb",
                allowed_paths=["/_api/version"])
    good("/_api/version", auth=one)
    refused(auth=one)
    for path in ("/_api/version", "/metrics", "/metrics.json"):
        good(path, auth="bearer " + MONITOR)
        assert w.a.call("GET", path).status == 401
        assert w.a.call("GET", path, auth="bearer x" + MONITOR).status == 401
    refused(auth="bearer " + MONITOR)
    assert w.a.call("PUT", "/_api/message-timeout", {"messageTimeout": 1},
                    auth="bearer " + MONITOR).status == 401
    time.sleep(1.5)
    refused(cert="short.keyfile")


def plain_http():
    conn = http.client.HTTPConnection("127.0.0.1", w.a.port, timeout=10)
    conn.request("GET", "/")
    assert conn.getresponse().status == 400
    conn.close()
    # garbage and silence hold nobody up
    with socket.create_connection(("127.0.0.1", w.a.port)) as s, \
            socket.create_connection(("127.0.0.1", w.a.port)):
        s.sendall(b"\x16\x03\x01\xff\xff" + bytes(64))
        assert w.a.try_status("/_api/version") == 200


# ---- what is killed ---------------------------------------------------------------------

def kill_child(m, name):
    old = m.children()[name]
    os.kill(old, signal.SIGKILL)
    t = time.monotonic()
    wait_for(lambda: m.children().get(name, old) != old, name + " is back", 1)
    wait_for(lambda: m.try_status("/_api/masters") == 200, "it answers", 2)
    assert time.monotonic() - t < 2 * SLOW


def kill_children():
    before = state()["leader"]
    for name in ("api", "control", "api", "control"):
        kill_child(w.a, name)
        assert state()["leader"] == before
    wait_for(w.a.leads, "leads on", 3)
    assert leader() == [w.a]


def restart_in_place():
    """Killed with all it has; its key is still there: it leads at once."""
    before = state()["leader"]
    w.a.kill()
    assert state()["leader"] == before
    w.a.start()
    wait_for(w.a.leads, "leads at once", 4)
    assert state()["leader"] == before and leader() == [w.a]


def kill_supervisor():
    children = list(w.a.children().values())
    os.kill(w.a.pid, signal.SIGKILL)
    w.a.process.wait()
    t = time.monotonic()
    w.a.start()             # waits for them
    wait_for(lambda: not any(is_alive(p) for p in children), "orphans leave", 10)
    wait_for(w.a.leads, "the new one goes on", 12)
    print(f"# {time.monotonic() - t:.1f} s until it leads again")
    assert not w.a.logged("still holds"), "they had to be killed"


def paused_child():
    """A control that hangs: the front still answers what it can."""
    pid = w.b.children()["control"]
    os.kill(pid, signal.SIGSTOP)
    assert w.b.try_status("/_api/version") == 200
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: w.b.try_status("/_api/masters") == 200, "it answers again")


def leader_dies():
    w.gone = id_of(w.a)
    w.a.kill()
    w.a_died = time.monotonic()
    assert id_of(w.b) and state()["leader"] == w.gone


def another_leads():
    # the lease, 5 s for clocks, and what may happen in between
    left = 30 * SLOW - (time.monotonic() - w.a_died)
    wait_for(lambda: w.b.leads() or w.c.leads(), "another leads",
             max(left, 0) / SLOW)
    print(f"# after {time.monotonic() - w.a_died:.1f} s")
    wait_for(lambda: w.gone not in state()["masters"], "the dead is off the list")
    assert len([m for m in (w.b, w.c) if m.leads()]) == 1
    assert state()["leader"] != w.gone
    w.a.start()
    w.a.wait_version()
    wait_for(lambda: w.gone in state()["masters"], "it is one of them again")
    assert not w.a.leads()


# ---- signals ----------------------------------------------------------------------------

def new_certificate():
    m = w.c
    old = m.certificate()
    w.kit.new_keyfile("new.keyfile")
    os.rename(w.kit.path("new.keyfile"), w.kit.path("tls.keyfile"))
    m.process.send_signal(signal.SIGHUP)
    wait_for(lambda: m.certificate() != old, "the new certificate is served")
    new = m.certificate()
    good = w.kit.read("tls.keyfile")
    w.kit.write("tls.keyfile", "no certificate at all\n")
    m.process.send_signal(signal.SIGHUP)
    wait_for(lambda: m.logged("the certificate in use is kept"), "it says so")
    assert m.certificate() == new
    # also when its process is gone, the others go on
    os.unlink(w.kit.path("tls.keyfile"))
    m.process.send_signal(signal.SIGHUP)
    wait_for(lambda: m.logged("No such file"), "it says so")
    assert m.certificate() == new
    w.kit.write("tls.keyfile", good)
    m.process.send_signal(signal.SIGHUP)
    assert m.try_status("/_api/masters") == 200


def rotated_log():
    m = w.c
    os.rename(m.log, m.log + ".1")
    m.process.send_signal(signal.SIGHUP)
    wait_for(lambda: os.path.exists(m.log) and m.logged("SIGHUP"), "a new log")
    # children write there, too
    w.kit.write("secret.good", w.kit.secret)
    w.kit.write("secret", "")
    size = os.path.getsize(m.log + ".1")
    m.process.send_signal(signal.SIGHUP)
    wait_for(lambda: m.logged("--master.jwt-secret: the file is empty"),
             "a child's line in the new log")
    assert os.path.getsize(m.log + ".1") == size
    assert m.call("GET", "/_api/role", auth="bearer " + jwt(
        {}, w.kit.read("secret.good").decode())).status == 200


def changed_secret():
    old = w.kit.read("secret.good").decode()
    w.kit.write("secret", "a new secret\n")
    for m in (w.b, w.c):
        m.process.send_signal(signal.SIGHUP)
    new = "bearer " + jwt({}, "a new secret")
    wait_for(lambda: w.c.call("GET", "/_api/role", auth=new).status == 200,
             "the new secret")
    assert w.c.call("GET", "/_api/role", auth="bearer " + jwt({}, old)).status == 401


def dump():
    w.c.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: w.c.logged("process control: ready"), "a dump in the log")


def pid_file():
    with open(os.path.join(w.c.data, "LOCK"), "rb") as f:
        assert f.read() == str(w.c.pid).encode()
    with open(f"/proc/{w.c.pid}/cmdline", "rb") as f:
        assert b"--log.file\0" + w.c.log.encode() in f.read()
    with open(f"/proc/{w.c.pid}/comm") as f:
        assert f.read() == "arangosync\n"


def stop():
    """Gives the lease back; the next one leads without waiting for its end."""
    first = [m for m in w.abc if m.leads()]
    assert len(first) == 1, first
    for m in first + [m for m in w.abc if m not in first]:
        pids = [m.pid, *m.children().values()]
        ident = id_of(m)
        code, seconds = m.stop()
        assert code == 0, (m.name, code)
        assert seconds < 10 * SLOW, (m.name, seconds)
        assert not any(is_alive(p) for p in pids), m.name
        assert ident not in state().get("masters", {}), m.name
        if m is first[0]:
            wait_for(lambda: len(leader_of_rest(m)) == 1, "the next one leads", 5)
    assert not os.path.exists(os.path.join(w.c.data, "LOCK"))
    assert "leader" not in state(), state()


def leader_of_rest(m):
    return [x for x in w.abc if x is not m and x.leads()]


TESTS = [before_the_cluster, cluster_comes, agent_goes, start_masters, lists,
         agency_keys, message_timeout, forwarding, credentials, plain_http,
         kill_children, restart_in_place, kill_supervisor, paused_child,
         leader_dies, unhealthy_after_30_s, another_secret, pid_file,
         new_certificate, rotated_log, changed_secret, dump, another_leads, stop]

t = Tap(len(TESTS))
with Kit() as w.kit, \
        Cluster(coordinators=2, dbservers=1, auth=True) as w.cluster, \
        Cluster(dbservers=1, auth=True) as w.late:
    ends = [s["endpoint"] for s in w.cluster.info()["servers"]
            if s["role"] == "coordinator"]
    w.a = Master(w.kit, "a", ends, w.cluster.secret)
    w.b = Master(w.kit, "b", ends, w.cluster.secret)
    w.c = Master(w.kit, "c", ends, w.cluster.secret, form="starter")
    w.d = Master(w.kit, "d", [w.late.server("coordinator1")["endpoint"]],
                 w.late.secret)
    w.abc = [w.a, w.b, w.c]
    began = time.monotonic()
    for test in TESTS:
        t.run("master: " + test.__name__.replace("_", " "), test)
        print(f"# {time.monotonic() - began:.1f} s")
    if t.failed:
        for m in (w.a, w.b, w.c, w.d):
            for name in (m.log + ".1", m.log):
                if os.path.exists(name):
                    with open(name, errors="replace") as f:
                        for line in f.read().splitlines()[-60:]:
                            print(f"# {m.name}: {line}")
t.finish()
