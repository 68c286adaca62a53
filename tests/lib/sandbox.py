"""Sandbox clusters for end-to-end tests, and a client that shares no code
with what it tests.

    with Cluster(dbservers=3) as c:
        r = c.post("/_api/collection", {"name": "x"})
        assert r.status == 200, r

Tests report in TAP through Tap.  Nothing is left behind: a Cluster stops its
processes and removes its directory, also when the test fails.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

BUILD = os.environ.get("top_builddir", ".")
PROGRAM = os.path.join(BUILD, "src", "arangosync-sandbox")
SECRET = "a-secret-for-tests-only"

# What runs under a sanitizer is slower; deadlines know.
SLOW = float(os.environ.get("TEST_SLOWNESS", "1"))


def wait_for(condition, what, seconds=30):
    """Until condition() is true; its value.  Raises when the time is over."""
    deadline = time.monotonic() + seconds * SLOW
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("not in time: " + what)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(claims, secret=SECRET):
    head = b64url(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = b64url(json.dumps(claims).encode())
    sig = hmac.new(secret.encode(), f"{head}.{body}".encode(),
                   hashlib.sha256).digest()
    return f"{head}.{body}.{b64url(sig)}"


def superuser(secret=SECRET, seconds=3600):
    return "bearer " + jwt({"iss": "arangodb", "server_id": "test",
                            "exp": int(time.time()) + seconds}, secret)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {k.lower(): v for k, v in headers}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        try:
            return self.json.get("errorNum", 0)
        except (ValueError, AttributeError):
            return 0

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Http:
    """One keep-alive connection to a server.  Not for several threads."""

    def __init__(self, url, auth=None, timeout=120):
        u = urllib.parse.urlsplit(url)
        self.host, self.port = u.hostname, u.port
        self.auth = auth
        self.timeout = timeout
        self.conn = None

    def close(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    def request(self, method, path, body=None, headers=None, retry=True):
        """Raises OSError or http.client.HTTPException when there was no
        answer.  A kept connection that the server closed meanwhile is
        replaced once (retry)."""
        h = {"accept": "application/json"}
        if self.auth:
            h["authorization"] = self.auth
        if headers:
            h.update(headers)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        fresh = self.conn is None
        if fresh:
            self.conn = http.client.HTTPConnection(self.host, self.port,
                                                   timeout=self.timeout)
        try:
            self.conn.request(method, path, body, h)
            r = self.conn.getresponse()
            return Response(r.status, r.getheaders(), r.read())
        except (OSError, http.client.HTTPException):
            self.close()
            if fresh or not retry or method not in ("GET", "HEAD"):
                raise
        return self.request(method, path, body, headers, retry=False)

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body, **kw)

    def put(self, path, body=None, **kw):
        return self.request("PUT", path, body, **kw)

    def patch(self, path, body=None, **kw):
        return self.request("PATCH", path, body, **kw)

    def delete(self, path, body=None, **kw):
        return self.request("DELETE", path, body, **kw)


class Cluster:
    def __init__(self, coordinators=1, dbservers=3, auth=False, args=(),
                 keep=None):
        self.top = tempfile.mkdtemp(prefix="arangosync-test.")
        self.dir = os.path.join(self.top, "c")
        self.auth = auth
        # auth may be the secret itself, where two clusters are to differ.
        self.key = auth if isinstance(auth, str) else SECRET
        self.coordinators, self.dbservers = coordinators, dbservers
        self.args = list(args)
        self.keep = keep or os.environ.get("TEST_KEEP")
        if auth:
            self.secret = os.path.join(self.top, "secret")
            with open(self.secret, "w") as f:
                f.write(self.key + "\n")
            os.chmod(self.secret, 0o600)

    def __enter__(self):
        self.launch()
        return self

    def __exit__(self, kind, value, tb):
        self.run("stop", check=False)
        self.sweep()
        if kind is not None and self.keep:
            print(f"# left in {self.top}")
        else:
            shutil.rmtree(self.top, ignore_errors=True)

    def launch(self):
        cmd = [PROGRAM, "--dir", self.dir, "--port", "0", "--coordinators",
               str(self.coordinators), "--dbservers", str(self.dbservers),
               "--daemon"] + self.args
        if self.auth:
            cmd += ["--auth", self.secret, "--root-password", "geheim"]
        r = subprocess.run(cmd, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=120 * SLOW)
        if r.returncode != 0:
            raise AssertionError(f"cluster did not start: {r.stdout!r}")
        self._http = None

    def sweep(self):
        """Kill what `stop` has left; a test must leave nothing behind."""
        try:
            pids = [s["pid"] for s in self.info()["servers"] if s.get("pid")]
        except (OSError, ValueError):
            return
        for pid in pids:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if b"arangosync" in f.read():
                        os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def run(self, *words, check=True, timeout=90):
        """A command of the program on this cluster; its exit code and text."""
        cmd = [PROGRAM, words[0], "--dir", self.dir] + [str(w) for w in words[1:]]
        r = subprocess.run(cmd, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=timeout * SLOW)
        if check and r.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: {r.returncode} {r.stdout!r}")
        return r.returncode, r.stdout.decode()

    def info(self):
        with open(os.path.join(self.dir, "cluster.json")) as f:
            return json.load(f)

    def server(self, name):
        for s in self.info()["servers"]:
            if s["name"] == name:
                return s
        raise KeyError(name)

    def server_of_id(self, ident):
        for s in self.info()["servers"]:
            if s["id"] == ident:
                return s
        raise KeyError(ident)

    def token(self):
        return superuser(self.key) if self.auth else None

    def connect(self, name="coordinator1", **kw):
        """A new connection as superuser (as anybody without auth)."""
        return Http(self.server(name)["endpoint"], self.token(), **kw)

    @property
    def http(self):
        if self._http is None:
            self._http = self.connect()
        return self._http

    def get(self, path, **kw):
        return self.http.get(path, **kw)

    def post(self, path, body=None, **kw):
        return self.http.post(path, body, **kw)

    def put(self, path, body=None, **kw):
        return self.http.put(path, body, **kw)

    def patch(self, path, body=None, **kw):
        return self.http.patch(path, body, **kw)

    def delete(self, path, body=None, **kw):
        return self.http.delete(path, body, **kw)

    # ---- what tests ask again and again

    def documents(self, collection, db="_system", http=None):
        """All documents by a cursor: {_key: document}; twice a key raises."""
        http = http or self.http
        found = {}
        r = http.post(f"/_db/{db}/_api/cursor",
                      {"query": "FOR d IN @@c RETURN d",
                       "bindVars": {"@c": collection}, "batchSize": 5000})
        assert r.status == 201, r
        while True:
            j = r.json
            for d in j["result"]:
                assert d["_key"] not in found, f"{d['_key']} twice"
                found[d["_key"]] = d
            if not j["hasMore"]:
                return found
            r = http.put(f"/_db/{db}/_api/cursor/{j['id']}")
            assert r.status == 200, r

    def agency(self, *paths):
        """One consistent read at the agent; the value below each path."""
        r = self.connect("agent1").post("/_api/agency/read", [list(paths)])
        assert r.status == 200, r
        out = []
        for p in paths:
            node = r.json[0]
            for part in p.strip("/").split("/"):
                node = node.get(part) if isinstance(node, dict) else None
            out.append(node)
        return out if len(out) > 1 else out[0]

    def shards(self, collection, db="_system"):
        """Names in numerical order -> servers, leader first (Current)."""
        cols = self.agency(f"/arango/Plan/Collections/{db}")
        cid = [k for k, v in cols.items() if v["name"] == collection][0]
        cur = self.agency(f"/arango/Current/Collections/{db}/{cid}") or {}
        return {s: cur.get(s, {}).get("servers", [])
                for s in sorted(cols[cid]["shards"], key=lambda n: int(n[1:]))}

    def wait_in_sync(self, collection, db="_system", seconds=60):
        """Until Current lists every server that the Plan lists, and leads."""
        def good():
            cols = self.agency(f"/arango/Plan/Collections/{db}")
            cid = [k for k, v in cols.items() if v["name"] == collection][0]
            cur = self.agency(f"/arango/Current/Collections/{db}/{cid}") or {}
            for s, plan in cols[cid]["shards"].items():
                have = cur.get(s, {}).get("servers", [])
                if not have or have[0] != plan[0] or set(have) != set(plan):
                    return False
            return True
        wait_for(good, f"{db}/{collection} in sync", seconds)


class Tap:
    """run(name, function) for each test, then finish()."""

    def __init__(self, plan):
        sys.stdout.reconfigure(line_buffering=True)
        self.n, self.failed = 0, 0
        self.planned = plan
        print(f"1..{plan}")

    def run(self, name, fn, *args):
        self.n += 1
        try:
            fn(*args)
            print(f"ok {self.n} - {name}")
            return True
        except BaseException as e:
            self.failed += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {self.n} - {name}")
            if isinstance(e, KeyboardInterrupt):
                raise
            return False

    def skip(self, name, why):
        self.n += 1
        print(f"ok {self.n} - {name} # SKIP {why}")

    def finish(self):
        if self.n != self.planned:
            print(f"Bail out! ran {self.n} of {self.planned} tests")
            sys.exit(1)
        sys.exit(1 if self.failed else 0)
