#!/usr/bin/env python3
"""A source's master that lies: somebody between both datacenters passes
everything on, but for what control asks.  Whatever it answers, the target's
master goes on, says what is wrong in a sentence, and changes nothing.  (Lies
about sessions, records and structure: tests/ipc/test_link_liar, tests/fuzz.)"""
import http.client
import http.server
import json
import os
import ssl
import sys
import threading

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import fill, make, make_database
from sandbox import SLOW, wait_for

DB = "lies"
DEEP = b"[" * 100000
LIES = {
    "nothing": (200, b""),
    "no JSON": (200, b"{"),
    "an array": (200, b"[]"),
    "null": (200, b"null"),
    "an empty object": (200, b"{}"),
    "deep": (200, DEEP),
    "other types": (200, json.dumps({
        "cluster": 7, "role": [], "version": {}, "arangodb": -1, "protocol": "x",
        "endpoints": {"a": 1}, "upstream": "x", "ready": "yes", "waits_for": 7,
        "writers": "none", "what": [], "plan": "1", "servers": 7, "databases": []
        }).encode()),
    "odd numbers": (200, json.dumps({
        "ready": True, "writers": -1, "longest_ms": 2**63 - 1, "plan": 2**63 - 1,
        "servers": [{"id": "", "reboot_id": 2**63, "tick": 2**63},
                    {"id": "PRMR-x", "reboot_id": -1, "tick": 1e300}, 7, None],
        "endpoints": [None, 1, "", "gopher://x", "https://", "https://x:99999"] +
        [f"https://10.0.0.1:{i}" for i in range(5000)]}).encode()),
    "long texts": (200, json.dumps({
        "cluster": "c" * 10**6, "version": "v" * 10**6, "arangodb": "9" * 10**6,
        "role": "r" * 10**6, "waits_for": "w\n\x1b[31m" * 10**5,
        "what": "x\r\n" * 10**5, "writers": 3,
        "endpoints": ["https://" + "h" * 10**6]}).encode()),
    "an error without words": (500, b""),
    "an error with too many": (412, json.dumps({"Error": "e\n\x07" * 10**6}).encode()),
    "elsewhere": (302, b""),
    "not there": (404, b"<html>"),
    "cut": (0, b"{\"cluster\":"),
}


# What gets further than the others.
SOME = ("an empty object", "other types", "odd numbers", "long texts",
        "an error with too many")


class Liar:
    """TLS with the source's certificate in front, the real master behind."""

    def __init__(self, kit, master):
        self.kit, self.master, self.lie, self.told = kit, master, None, 0
        self.about = None           # (begin, end) of a path
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *a):
                pass

            def do(self):
                try:
                    n = int(self.headers.get("content-length") or 0)
                    body = self.rfile.read(n)
                    a = outer.about
                    if a and self.path.startswith(a[0]) and self.path.endswith(a[1]):
                        outer.told += 1
                        self.tell(*outer.lie)
                    else:
                        self.pass_on(body)
                except (OSError, http.client.HTTPException):
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = do

            def tell(self, status, body):
                self.send_response(status or 200)
                if status == 302:
                    self.send_header("location", "https://127.0.0.1:1/")
                self.send_header("content-length", str(len(body) + (not status)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = not status

            def pass_on(self, body):
                c = http.client.HTTPSConnection("127.0.0.1", outer.master.port,
                                                context=outer.context, timeout=60)
                try:
                    keep = {k: v for k, v in self.headers.items()
                            if k.lower() not in ("connection", "host")}
                    c.request(self.command, self.path, body, keep)
                    self.answer(c.getresponse())
                finally:
                    c.close()

            def answer(self, r):
                self.send_response(r.status)
                for k, v in r.getheaders():
                    if k.lower() not in ("transfer-encoding", "connection"):
                        self.send_header(k, v)
                chunked = r.getheader("content-length") is None
                if chunked:
                    self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                while True:
                    data = r.read1(65536)
                    if chunked:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                    elif data:
                        self.wfile.write(data)
                    self.wfile.flush()
                    if not data:
                        return

        self.context = ssl.create_default_context(cafile=kit.path("tls-ca.crt"))
        self.context.load_cert_chain(kit.path("client.keyfile"))
        front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        front.load_cert_chain(kit.path("tls.keyfile"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *a: None
        self.server.socket = front.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = "https://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class LiedTo(Pair):
    def make_masters(self):
        super().make_masters()
        self.liar = Liar(self.ka, self.ma)
        self.ma.flags["master.endpoint"] = [self.liar.url]

    source_url = property(lambda self: self.liar.url)


def each(p, begin, end="", lies=LIES):
    for name in lies:
        p.liar.told, p.liar.lie, p.liar.about = 0, LIES[name], (begin, end)
        yield name
        assert p.liar.told, f"{begin} {end}: nobody has asked"
        p.liar.about = None


def one_sentence(r, name):
    lines = [x for x in r.err.splitlines() if not x.startswith("arangosync: warning:")]
    assert r.code == 1 and len(lines) == 1 and len(lines[0]) < 1000, (name, r)
    assert "\x1b" not in r.err and "\x07" not in r.err, (name, r)
    print(f"# {name}: {lines[0][:160]}")


def at_the_beginning(p):
    make_database(p.a, DB)
    make(p.a, DB, "docs", 3, 1)
    fill(p.a, DB, "docs", 1000)
    for name in each(p, "/_x/v1/info"):
        r = p.command(*p.configure_args())
        one_sentence(r, name)
        assert p.status()["status"] in ("", "inactive") and not p.read_only(p.b), name
    p.configure()
    p.wait_running(40)
    p.wait_equal(20)


def about_other_masters(p):
    for name in each(p, "/_api/endpoints"):
        p.mb.kill_child("control")
        wait_for(lambda: p.liar.told, f"{name}: it asks", 60)
    p.mb.kill_child("control")
    wait_for(p.mb.leads, "leads", 60)
    kept = json.dumps(p.b.agency("/arangodb/arangosync"))
    assert len(kept) < 100000, len(kept)
    p.wait_running(60)


def in_a_barrier(p):
    """It does not end well by a lie, and everything goes on."""
    for end in ("", "/servers", "/ticks", "/writers"):
        for name in each(p, "/_x/v1/barrier/", end, SOME):
            r = p.command("stop", "sync", f"--timeout={3 * SLOW:.0f}s")
            assert r.code == 1 and "Synchronization stopped." not in r.out, (name, r)
            assert "\x1b" not in r.err + r.out, (end, name, r)
            print(f"# {end or 'all'}, {name}: {r.err.splitlines()[-1][:150]}")
            p.liar.about = None
            wait_for(lambda: p.try_status().get("status") == "running" and
                     not p.read_only(p.a), f"{name}: it goes on", 60)
    fill(p.a, DB, "docs", 100, prefix="more")
    p.wait_equal(30)


def in_a_check(p):
    for name in each(p, "/_x/v1/shards"):
        r = p.command("check", "sync")
        assert r.code == 1 and "The whole data is the same" not in r.out, (name, r)
        assert "\x1b" not in r.err + r.out, (name, r)


def truth(p):
    p.wait_running(40)
    p.wait_equal(20)
    p.check_sync()
    p.stop()
    p.assert_equal(1000)


run_all("liar", [at_the_beginning, about_other_masters, in_a_barrier, in_a_check,
                 truth], LiedTo(dbservers=1), 300)
