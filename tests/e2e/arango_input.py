#!/usr/bin/env python3
"""A coordinator that answers nonsense: to a master that starts, and to one that
works.  It says what is wrong, answers /_api/version, changes nothing, loses no
process, and goes on as soon as the answers are right again."""
import http.client
import http.server
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from master_lib import Kit, Master
from sandbox import Cluster, Tap, wait_for


class World:
    pass


w = World()
JSON = [("content-type", "application/json")]


def reply(status, body, headers=JSON, length=None):
    return status, headers, body, len(body) if length is None else length


DEEP = b"[" * 50000 + b"]" * 50000
LIES = {
    "nothing": reply(200, b""),
    "html": reply(200, b"<html>It works!</html>", [("content-type", "text/html")]),
    "not json": reply(200, b"{\"role\":"),
    "an array": reply(200, b"[]"),
    "null": reply(200, b"null"),
    "another object": reply(200, b'{"a":{"b":[1,2]},"role":7,"mode":[],"endpoints":{}}'),
    "wrong types": reply(200, b'{"role":null,"id":-1,"version":{},"agents":"x",'
                         b'"endpoints":[1,null,"nonsense://"],"result":7,"code":"x"}'),
    "deep": reply(200, DEEP),
    "huge": reply(200, b'{"x":"' + b"y" * (8 << 20) + b'"}'),
    "cut off": reply(200, b'{"role":"COORDINATOR"', length=5000),
    "bytes": reply(200, bytes(range(256)) * 20, [("content-type",
                                                  "application/x-velocypack")]),
    "no content": reply(204, b""),
    "an error": reply(500, b'{"error":true,"errorNum":4,"errorMessage":"x","code":500}'),
    "an error without words": reply(503, b""),
    "teapot": reply(418, b"short and stout", [("content-type", "text/plain")]),
    "redirect to itself": reply(307, b"", [("location", "/_admin/server/role")]),
    "redirect away": reply(302, b"", [("location", "http://127.0.0.1:1/")]),
    "many headers": reply(200, b"{}", [("x-%d" % i, "y" * 100) for i in range(90)]),
}


class Liar(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the coordinator, or lies."""
    protocol_version = "HTTP/1.1"

    def answer(self):
        w.asked += 1
        n = int(self.headers.get("content-length", 0))
        body = self.rfile.read(n) if n else None
        if w.lie is None:
            c = http.client.HTTPConnection(w.to, timeout=60)
            c.request(self.command, self.path, body, dict(self.headers))
            r = c.getresponse()
            a = reply(r.status, r.read(), [h for h in r.getheaders() if h[0].lower()
                                           not in ("content-length", "connection",
                                                   "transfer-encoding")])
            c.close()
        else:
            a = LIES[w.lie]
        try:
            self.send_response(a[0])
            for h in a[1]:
                self.send_header(*h)
            self.send_header("content-length", str(a[3]))
            self.end_headers()
            self.wfile.write(a[2])
        except OSError:
            pass
        if a[3] != len(a[2]):
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = answer

    def log_message(self, *a):
        pass


def agency():
    return w.cluster.agency("/arangodb")


def start():
    """Nobody was ever told the truth."""
    for lie in LIES:
        w.lie = lie
        name = "start-" + lie.replace(" ", "-")
        m = Master(w.kit, name, [w.liar], w.cluster.secret).start()
        try:
            m.wait_version()
            had = w.asked
            wait_for(lambda: w.asked > had + 3 or m.process.poll() is not None,
                     f"{lie}: it asks", 20)
            # what is not an answer is waited for; what says that it is something
            # else ends it, in a sentence
            code = m.process.poll()
            assert code in (None, 1), (lie, code)
            if code is None:
                r = m.get("/_api/health")
                assert r.status in (200, 503), (lie, r)
                assert r.status == 200 or r.json["Error"], (lie, r)
                wait_for(lambda: m.logged(" warning ") or m.logged(" error "),
                         f"{lie}: it says so", 20)
            assert agency() is None, lie
            with open(m.log, errors="replace") as f:
                text = f.read()
            assert "exit" not in text.replace("exit code 1", "") or code == 1, \
                (lie, text[-2000:])
        finally:
            m.kill()


def later():
    """One that works, and is lied to for a while, again and again."""
    w.lie = None
    m = w.m = Master(w.kit, "later", [w.liar], w.cluster.secret).start()
    wait_for(m.leads, "leads", 40)
    children = m.children()
    for lie in LIES:
        w.lie = lie
        t = time.monotonic()
        while time.monotonic() - t < 1.0:
            assert m.try_status("/_api/version") == 200, lie
            # a user whom only the cluster knows
            assert m.try_status("/_api/masters", cert=None,
                                auth="Basic cm9vdDp4") in (401, 503, 500), lie
            time.sleep(0.1)
        w.lie = None
        assert m.process.poll() is None, lie
    wait_for(m.leads, "leads on", 40)
    assert m.children() == children, (m.children(), children)
    assert m.stop()[0] == 0


TESTS = [start, later]
t = Tap(len(TESTS))
with Kit() as w.kit, Cluster(dbservers=1, auth=True) as w.cluster:
    w.to = w.cluster.server("coordinator1")["endpoint"].removeprefix("http://")
    w.lie, w.asked = None, 0
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    s.daemon_threads = True
    s.handle_error = lambda *a: None
    threading.Thread(target=s.serve_forever, daemon=True).start()
    w.liar = "http://127.0.0.1:%d" % s.server_address[1]
    for test in TESTS:
        t.run("arango: " + test.__name__, test)
t.finish()
