#!/usr/bin/env python3
"""The API port of a master, and whoever has no manners: broken, slow, huge and
forged requests, certificates of the wrong kind.  Each gets a fitting answer or
none, the others are served meanwhile, and no process ends."""
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from master_lib import MONITOR, Kit, Master
from sandbox import SLOW, Cluster, Tap, basic, jwt, wait_for


class World:
    pass


w = World()


def connect(cert="client.keyfile", tls=True):
    s = socket.create_connection(("127.0.0.1", w.m.port), 20 * SLOW)
    return w.m.context(cert).wrap_socket(s, server_hostname="127.0.0.1") if tls \
        else s


def raw(data, **kw):
    """Send bytes; the status of the answer, 0 for none, and all of it."""
    got = b""
    try:
        with connect(**kw) as s:
            s.settimeout(3 * SLOW)
            s.sendall(data)
            while len(got) < 100000:
                b = s.recv(65536)
                if not b:
                    break
                got += b
    except (ConnectionError, TimeoutError, ssl.SSLError):
        return 0, got       # or it waits for more: its time is not over
    if not got.startswith(b"HTTP/1."):
        return 0, got
    return int(got.split(b" ", 2)[1]), got


def head(line="GET /_api/version HTTP/1.1", *lines, host="Host: x"):
    return "\r\n".join([line, host, *lines, "Connection: close", "", ""]).encode()


def served():
    assert w.m.try_status("/_api/version") == 200


# ---- requests that are none --------------------------------------------------------------

def malformed():
    for data, statuses in (
            (b"\r\n\r\n\r\n", (400, 0)), (b"GET\r\n\r\n", (400,)),
            (b"\0" * 100 + b"\r\n\r\n", (400, 0)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 501, 505)),
            (head("GET /_api/version HTTP/9.9"), (400, 505)),
            (head("GET /_api/version"), (400,)),
            (head("BREW /_api/version HTTP/1.1"), (400, 405, 501)),
            (head("GET _api HTTP/1.1"), (400,)),
            (head("GET /\0 HTTP/1.1"), (400,)),
            (head("GET /%zz HTTP/1.1"), (400, 404)),
            (head("GET /_api/sync/database/%00/collection/x/shard/0/checksum HTTP/1.1"),
             (400, 404, 412)),
            (head("GET /../../etc/passwd HTTP/1.1"), (400, 404)),
            (head("GET /_api/version HTTP/1.1", " folded: x"), (400,)),
            (head("GET /_api/version HTTP/1.1", "no colon"), (400,)),
            (head("GET /_api/version HTTP/1.1", "a b: c"), (400,)),
            (head("GET /_api/version HTTP/1.1", "x: \0"), (400,)),
            (head(host="Host: x\r\nHost: y"), (200, 400)),
            (head("POST /_api/sync HTTP/1.1", "Content-Length: -1"), (400,)),
            (head("POST /_api/sync HTTP/1.1", "Content-Length: 1e3"), (400,)),
            (head("POST /_api/sync HTTP/1.1", "Content-Length: 1", "Content-Length: 2"),
             (400,)),
            (head("POST /_api/sync HTTP/1.1", "Content-Length: 99999999999999999999"),
             (400, 413)),
            (head("POST /_api/sync HTTP/1.1", "Content-Length: 1099511627776"), (413,)),
            (head("POST /_api/sync HTTP/1.1", "Content-Length: 3",
                  "Transfer-Encoding: chunked") + b"0\r\n\r\n", (400, 501)),
            (head("POST /_api/sync HTTP/1.1", "Transfer-Encoding: chunked") +
             b"ffffffffffffffff\r\n", (400, 501)),
            (head("GET /_api/version HTTP/1.1", "Upgrade: websocket",
                  "Sec-WebSocket-Key: x"), (200,)),
            (head("GET /" + "x" * 70000 + " HTTP/1.1"), (414, 431)),
            (head("GET /_api/version HTTP/1.1", "x: " + "y" * 200000), (431,)),
            (head("GET /_api/version HTTP/1.1", *["x%d: y" % i for i in range(9000)]),
             (400, 431))):
        status, got = raw(data)
        assert status in statuses, (data[:120], status, got[:300])
        served()


def no_tls():
    status, got = raw(head(), cert=None, tls=False)
    assert status == 400 and b"HTTPS" in got, got
    for data in (b"\x16\x03\x01\x02\x00\x01" + os.urandom(600), os.urandom(4096),
                 b"\x80\x2e\x01\x03\x01", b"SSH-2.0-x\r\n"):
        raw(data, tls=False)
        served()


def bodies():
    """What is no JSON, not what is asked for, too deep, too large."""
    deep = "[" * 100000 + "]" * 100000
    for method, path in (("POST", "/_api/sync"), ("DELETE", "/_api/sync"),
                         ("PUT", "/_api/message-timeout"),
                         ("POST", "/_x/v1/session"),
                         ("POST", "/_x/v1/barrier/nobody"),
                         ("GET", "/_api/sync/database/d/collection/c/shard/0/checksum")):
        for body in ("{", "[]", "null", "7", '"x"', deep, '{"a":' * 5000,
                     '{"source":7,"target":{},"lease_ms":-1,"messageTimeout":1e400}',
                     '{"messageTimeout":-1}', '{"messageTimeout":99999999999999999999}',
                     '{"target":"' + "x" * 5000 + '","protocol":1}',
                     '{"target":"../../x","protocol":1}', '{"a":"\\ud800"}',
                     "\ufeff{}", '{"force_timeout":"soon"}',
                     '{"source_server_mode":"half"}'):
            data = body.encode("utf-8", "surrogatepass")
            status, got = raw(head(f"{method} {path} HTTP/1.1",
                                   f"Content-Length: {len(data)}") + data)
            # nothing is configured: there is nothing to stop, and nobody to lock
            assert status in (200, 400, 404, 409, 412), (method, path, body[:80],
                                                         status, got[:300])
            if status != 200:
                assert "Error" in json.loads(got.split(b"\r\n\r\n", 1)[1]), got
            assert status != 200 or method == "DELETE", (path, body[:80], got[:200])
    status, got = raw(head("POST /_api/sync HTTP/1.1", "Content-Length: 1048577"))
    assert status == 413, got
    served()


def unknown_paths():
    for path in ("/", "/_api", "/_api/", "/_api/synx", "/_x/v1/", "/_x/v1/session/",
                 "/_x/v1/session/" + "0" * 32 + "/live", "/_x/v2/info", "/metrics/x",
                 "/_api/sync/outgoing/", "//_api/version", "/_api/version/",
                 "/_api/task/id/x", "/_api/sync/database/"):
        for method in ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"):
            status, got = raw(head(f"{method} {path} HTTP/1.1", "Content-Length: 0"))
            assert 400 <= status < 500 or (status == 200 and
                                           path == "//_api/version"), \
                (method, path, status, got[:200])
    for method in ("PUT", "DELETE", "PATCH"):
        status, _ = raw(head(f"{method} /_api/version HTTP/1.1", "Content-Length: 0"))
        assert status in (404, 405), status
    served()


# ---- those who take their time -------------------------------------------------------------

def slow_and_many():
    """Half requests, half handshakes, readers that do not read."""
    open_ones = []
    try:
        for i in range(60):
            s = connect(tls=i % 2 == 0, cert=None)
            s.sendall(b"GET /_api/version HTTP/1.1\r\nHost" if i % 2 == 0 else
                      b"\x16\x03")
            open_ones.append(s)
        for _ in range(20):
            s = connect()
            s.sendall(head("POST /_api/sync HTTP/1.1", "Content-Length: 1000000") +
                      b"{" * 10)
            open_ones.append(s)
        for _ in range(20):
            s = connect()
            s.sendall(head("GET /metrics HTTP/1.1").replace(b"close", b"keep-alive") * 200)
            open_ones.append(s)
        t = time.monotonic()
        for _ in range(20):
            served()
        assert time.monotonic() - t < 10 * SLOW, "the others wait for them"
    finally:
        for s in open_ones:
            s.close()
    served()


def connections():
    """More than are taken at a time: those that come later wait, and are served when
    the others have gone."""
    open_ones = []
    try:
        for _ in range(1500):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", w.m.port))
            open_ones.append(s)
        time.sleep(0.5)
    finally:
        for s in open_ones:
            s.close()
    wait_for(lambda: w.m.try_status("/_api/version") == 200, "served again", 20)


def at_once():
    """Many good ones, with and without keep-alive, in threads."""
    bad = []

    def work():
        try:
            for _ in range(15):
                served()
        except Exception as e:
            bad.append(e)
    threads = [threading.Thread(target=work) for _ in range(12)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    assert not bad, bad[:3]


# ---- who they say they are -------------------------------------------------------------------

def refused(cert):
    """In the handshake, or with 401; which, is the business of TLS."""
    try:
        r = w.m.call("GET", "/_api/masters", cert=cert)
    except (ssl.SSLError, ConnectionError):
        return
    assert r.status == 401, (cert, r)


def certificates():
    k = w.kit
    # a server's, of the authority for servers
    refused("tls.keyfile")
    # of another authority with the same name
    refused("wrong.keyfile")
    # an authority's own
    k.write("ca.keyfile", k.read("ca.crt") + b"\n" + k.read("ca.key"))
    r = w.m.try_status("/_api/masters", cert="ca.keyfile")
    assert r in (0, 200, 401), r
    # its certificate with a name of ours in front, signed by nobody
    k.good("create", "client-auth", "ca", "--cert=self.crt", "--key=self.key")
    k.write("self.keyfile", k.read("self.crt") + b"\n" + k.read("self.key"))
    refused("self.keyfile")
    # one that was signed by a client's: no authority
    k.write("client.key", k.read("client.keyfile"))
    k.fails(1, "is not one of an authority", "create", "client-auth", "keyfile",
            "--cacert=client.keyfile", "--cakey=client.key", "--keyfile=child.keyfile")
    # one that is not good yet or any more
    k.client("short.keyfile", "--validfor", "1s")
    time.sleep(2.1)
    refused("short.keyfile")
    served()


def b64(b):
    import base64
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def tokens():
    def status(auth, path="/_api/masters"):
        return w.m.call("GET", path, auth=auth).status
    now = int(time.time())
    none = b64(b'{"alg":"none","typ":"JWT"}') + "." + b64(b'{"iss":"arangodb"}') + "."
    good = jwt({"iss": "arangodb"}, w.kit.secret)
    h, c, s = good.split(".")
    for bad in (none, none + s, h + "." + b64(b'{"iss":"x"}') + "." + s,
                h + "." + c + ".", h + "." + c, h, "", ".", "..", "...", good + ".x",
                good + "A", " " + good + " x", b64(b'{"alg":"RS256"}') + "." + c + "." + s,
                b64(b'{"alg":"HS256"') + "." + c + "." + s,
                jwt({"exp": now - 60}, w.kit.secret), jwt({"exp": "soon"}, w.kit.secret),
                jwt({"exp": -1}, w.kit.secret), jwt({"nbf": now + 3600}, w.kit.secret),
                jwt({"allowed_paths": ["/_api/version"]}, w.kit.secret),
                jwt({"allowed_paths": []}, w.kit.secret),
                jwt({"iss": "arangodb"}, w.cluster_secret),
                "x" * 20000, MONITOR, MONITOR[:-1], MONITOR + "\0"):
        try:
            r = status("bearer " + bad)
        except ValueError:          # the client refuses to send it
            continue
        assert r in (400, 401, 431), (bad[:80], r)
    assert status("bearer " + good) == 200
    for auth in ("Basic", "Basic ", "Basic =", "Basic " + "QQ" * 9000, "bearer", "Digest x",
                 "Basic " + b64(b"root"), "Basic " + b64(b":"), "Basic " + b64(b"\0:\0"),
                 basic("root", ""), basic("root\r\n", "x")):
        try:
            r = status(auth)
        except ValueError:
            continue
        assert r in (400, 401, 431), (auth[:80], r)
    assert status(basic("root", "geheim")) == 200
    # nothing but monitoring for the monitoring token, whatever the path looks like
    for path in ("/_api/masters", "/_api/version/../masters", "/metrics/../_api/masters",
                 "/_api/%76ersion", "/_API/version", "/metrics?x=/_api/masters"):
        r = status("bearer " + MONITOR, path)
        assert r in (400, 401, 404) or (r == 200 and path in (
            "/_api/%76ersion", "/metrics?x=/_api/masters")), (path, r)


def the_same_processes():
    now = w.m.children()
    assert now == w.children, (now, w.children)
    assert w.m.leads()
    with open(w.m.log, errors="replace") as f:
        crashed = [x for x in f if "signal" in x.lower() and "killed" in x.lower()]
    assert not crashed, crashed
    assert w.m.stop()[0] == 0


TESTS = [malformed, no_tls, bodies, unknown_paths, slow_and_many, connections, at_once,
         certificates, tokens, the_same_processes]
t = Tap(len(TESTS))
with Kit() as w.kit, Cluster(dbservers=1, auth=True) as cluster:
    w.cluster_secret = open(cluster.secret).read().strip()
    w.m = Master(w.kit, "m", [cluster.server("coordinator1")["endpoint"]],
                 cluster.secret)
    w.m.start()
    wait_for(w.m.leads, "leads", 40)
    w.children = w.m.children()
    for test in TESTS:
        t.run("http: " + test.__name__.replace("_", " "), test)
t.finish()
