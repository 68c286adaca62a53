#!/usr/bin/env python3
"""Wrong input of `configure sync`: one sentence, exit 2 for what the argument
list alone shows and 1 for the rest, and nothing is changed: no state in either
agency, no cluster is read-only, no process is started."""
import http.server
import json
import os
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from cli_master import Master as Actor
from datacenters import Daemon, Pair, run_all
from load import fill, make
from master_lib import free_port
from sandbox import Cluster, wait_for


def args(p, **changed):
    """Good ones, but for the changed; None leaves one out."""
    f = {"source.endpoint": p.source_url, "source.cacert": p.ka.path("tls-ca.crt"),
         "master.keyfile": p.ka.path("client.keyfile"), "master.endpoint": p.mb.url,
         "master.cacert": p.kb.path("tls-ca.crt"),
         "auth.keyfile": p.kb.path("client.keyfile")}
    f.update({k.replace("_", "."): v for k, v in changed.items()})
    return ["configure", "sync"] + [f"--{k}={v}" for k, v in f.items() if v is not None]


def state(p):
    """All that a configure could change."""
    out = []
    for c in (p.a, p.b):
        s = c.agency("/arangodb/arangosync/synchronizationState")
        out += [s, p.read_only(c), c.agency("/arango/Readonly"),
                sorted(x["name"] for x in c.get("/_api/collection").json["result"])]
    for m in p.masters:
        out += [sorted(m.children()), p.status(m)["status"]]
    return out


def fails(p, code, words, at=None, **changed):
    """words: each must be in the one sentence."""
    before = state(p)
    r = p.kb.run(*args(p, **changed), timeout=90)
    assert r.code == code, r
    lines = [x for x in r.err.splitlines()
             if not x.startswith(("Try ", "arangosync: warning:"))]
    assert len(lines) == 1 and lines[0].startswith("arangosync: "), r
    for w in [words] if isinstance(words, str) else words:
        assert w.lower() in lines[0].lower(), (w, r)
    assert len(lines[0]) < 700, r
    assert r.out == "", r
    # what was begun in the background would show a little later, too
    for _ in range(3):
        assert state(p) == before, (state(p), before)
        time.sleep(0.1)
    print("# " + lines[0][:300])


def usage(p):
    for flag in ("source_endpoint", "source_cacert", "master_keyfile",
                 "master_endpoint"):
        fails(p, 2, "--" + flag.replace("_", "."), **{flag: None})
    for bad in ("nonsense://x", "https://", "https://h:99999"):
        fails(p, 2, "--source.endpoint", source_endpoint=bad)


def files(p):
    k = p.kb
    k.write("empty", "")
    k.write("text", "not a certificate\n")
    for f in ("absent", "empty", "text", k.dir):
        fails(p, 1, f if f == "absent" else "", master_keyfile=f)
        fails(p, 1, f if f == "absent" else "", source_cacert=f)
    fails(p, 1, "key", master_keyfile=p.ka.path("tls-ca.crt"))


def nobody_there(p):
    port = free_port()
    fails(p, 1, str(port), source_endpoint=f"https://127.0.0.1:{port}")
    fails(p, 1, "no-such-host.invalid",
          source_endpoint="https://no-such-host.invalid:8629")


def not_a_master(p):
    """A web server, and a coordinator: neither speaks our protocol."""
    class Web(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404)
            self.end_headers()
        do_POST = do_PUT = do_GET

        def log_message(self, *a):
            pass
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(p.ka.path("tls.keyfile"))
    s.socket = ctx.wrap_socket(s.socket, server_side=True)
    s.handle_error = lambda *a: None
    threading.Thread(target=s.serve_forever, daemon=True).start()
    url = "https://127.0.0.1:%d" % s.server_address[1]
    fails(p, 1, url, source_endpoint=url)
    s.shutdown()
    coordinator = p.a.server("coordinator1")["endpoint"]
    fails(p, 1, "", source_endpoint=coordinator.replace("http:", "https:"))


def wrong_authority(p):
    """The source's certificate was not made by --source.cacert."""
    fails(p, 1, "certificate", source_cacert=p.kb.path("tls-ca.crt"))
    fails(p, 1, "certificate", source_cacert=p.ka.path("ca.crt"))


def wrong_client_certificate(p):
    """The source does not know who signed it."""
    fails(p, 1, "--master.keyfile", master_keyfile=p.ka.path("wrong.keyfile"))
    fails(p, 1, "--master.keyfile", master_keyfile=p.kb.path("client.keyfile"))


def expired_client_certificate(p):
    p.ka.client("short.keyfile", "--validfor", "1s")
    time.sleep(2.1)             # the only way to have an expired one
    fails(p, 1, "expired", master_keyfile=p.ka.path("short.keyfile"))


def wrong_credentials(p):
    """Of the one who asks, at the target."""
    for kw in ({"auth_keyfile": p.kb.path("wrong.keyfile")},
               {"auth_keyfile": None},
               {"auth_keyfile": None, "auth_user": "root", "auth_password": "x"}):
        fails(p, 1, "", **kw)


def source_is_the_target(p):
    fails(p, 1, "this cluster itself", source_endpoint=p.mb.url,
          source_cacert=p.kb.path("tls-ca.crt"),
          master_keyfile=p.kb.path("client.keyfile"))
    # a second master of the target's cluster is no other datacenter either
    second = p.make_master(p.kb, "second", p.b)
    second.start()
    second.wait_version()
    wait_for(lambda: len(p.mb.get("/_api/masters").json["masters"]) == 2, "two")
    fails(p, 1, "this cluster itself", source_endpoint=second.url,
          source_cacert=p.kb.path("tls-ca.crt"),
          master_keyfile=p.kb.path("client.keyfile"))
    assert second.stop()[0] == 0


def older_target(p):
    """A source of a newer minor version than the target's."""
    with Cluster(dbservers=1, auth="third",
                 args=["--arangodb-version", "3.12.1"]) as new:
        m = p.make_master(p.ka, "newer", new)
        m.start()
        m.wait_version()
        wait_for(m.leads, "leads", 40)
        try:
            fails(p, 1, ("3.11", "3.12"), source_endpoint=m.url)
            assert new.agency("/arangodb/arangosync/synchronizationState") is None
        finally:
            m.kill()


def single_server(p):
    """A source whose ArangoDB is no cluster.  Our own masters refuse to run
    beside one (master_input.py), so somebody plays that master."""
    with Actor(p.ka.path("tls.keyfile")) as m:
        m.routes.update({
            "GET /_x/v1/info": {"cluster": "", "version": "0.1.0",
                                "arangodb": "3.11.8", "role": "single",
                                "protocol": 1, "endpoints": [m.url]},
            "GET /_api/version": {"version": "0.1.0", "build": "x"}})
        fails(p, 1, "cluster", source_endpoint=m.url)


def other_source(p):
    """Only one source at a time; the one that is there goes on."""
    make(p.a, "_system", "x", 2, 1)
    fill(p.a, "_system", "x", 100)
    p.configure()
    p.wait_running(45)
    with Cluster(dbservers=1, auth="third") as third:
        m = p.make_master(p.ka, "third", third)
        m.start()
        m.wait_version()
        wait_for(m.leads, "leads", 40)
        try:
            r = p.kb.run(*args(p, source_endpoint=m.url))
            assert r.code == 1 and len(r.err.splitlines()) == 1, r
            assert "already" in r.err or "another source" in r.err, r
            assert not p.status(m).get("outgoing")
        finally:
            m.kill()
    fill(p.a, "_system", "x", 100, prefix="more")
    p.wait_equal(30)


def source_is_a_target(p):
    """Each would be a copy of the other, and lose what is on its way."""
    r = p.ka.run("configure", "sync", "--source.endpoint=" + p.mb.url,
                 "--source.cacert=" + p.kb.path("tls-ca.crt"),
                 "--master.keyfile=" + p.kb.path("client.keyfile"),
                 "--master.endpoint=" + p.ma.url,
                 "--master.cacert=" + p.ka.path("tls-ca.crt"),
                 "--auth.keyfile=" + p.ka.path("client.keyfile"))
    assert r.code == 1 and "is a target of this cluster" in r.err, r
    assert p.status(p.ma)["status"] == "inactive" and not p.read_only(p.a)
    p.stop()


run_all("input", [usage, files, nobody_there, not_a_master, wrong_authority,
                  wrong_client_certificate, expired_client_certificate,
                  wrong_credentials, source_is_the_target, older_target,
                  single_server, other_source, source_is_a_target], Pair(dbservers=1), 150)
