"""Two datacenters on one machine: a sandbox cluster and a master each, with
certificates and secrets of their own, and a reader that compares both.

    with Pair() as p:
        p.a.post("/_api/collection", {"name": "x"})     # a is the source
        p.configure()
        p.wait_running()
        p.assert_equal()

The reader shares no code with what it tests: it asks coordinators, like any
client.  Processes are found by what they are called in ps, and whatever
happens, none is left behind.
"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/e2e"))
from cli_lib import PROGRAM, Result
from master_lib import MONITOR, Kit, Master, free_port, is_alive
from sandbox import SLOW, Cluster, Http, Tap, basic, wait_for

RUNNING = "running"


def quote(text):
    return urllib.parse.quote(text, safe="")


# ---- comparing ---------------------------------------------------------------------

def canonical(doc):
    """1, 1.0, true and "1" differ, and so do 0.0 and -0.0; the order of
    attributes does not count."""
    return json.dumps(doc, sort_keys=True)


def all_of(cluster, db, collection, batch=2000):
    """Documents by (_key, _rev), one batch in memory at a time."""
    http = cluster.connect(timeout=180)
    base = f"/_db/{quote(db)}/_api/cursor"
    try:
        r = http.post(base, {"query": "FOR d IN @@c SORT d._key RETURN d",
                             "bindVars": {"@c": collection}, "batchSize": batch})
        assert r.status == 201, (db, collection, r)
        same_key = []           # custom shard keys: one key in several shards
        while True:
            j = r.json
            for d in j["result"]:
                if same_key and d["_key"] != same_key[0]["_key"]:
                    yield from sorted(same_key, key=lambda x: x["_rev"])
                    same_key = []
                same_key.append(d)
            if not j["hasMore"]:
                yield from sorted(same_key, key=lambda x: x["_rev"])
                return
            r = http.put(f"{base}/{j['id']}")
            assert r.status == 200, (db, collection, r)
    finally:
        http.close()


class Differences(list):
    """The first ones in words, and how many there are."""

    def __init__(self, most=20):
        super().__init__()
        self.most, self.n, self.documents = most, 0, 0

    def add(self, text):
        self.n += 1
        if len(self) < self.most:
            self.append(text[:400])

    def __str__(self):
        return f"{self.n} differences: " + "; ".join(self)


def compare_collection(a, b, db, collection, found, batch=2000):
    where = f"{db}/{collection}"
    left, right = (all_of(c, db, collection, batch) for c in (a, b))
    x, y = next(left, None), next(right, None)
    order = lambda d: (d["_key"], d["_rev"])
    while x is not None or y is not None:
        found.documents += 1
        if y is None or (x is not None and order(x) < order(y)):
            found.add(f"{where}/{x['_key']} {x['_rev']} is only in the source")
            x = next(left, None)
        elif x is None or order(y) < order(x):
            found.add(f"{where}/{y['_key']} {y['_rev']} is only in the target")
            y = next(right, None)
        else:
            if x != y or canonical(x) != canonical(y):
                found.add(f"{where}/{x['_key']}: {canonical(x)[:150]} became "
                          f"{canonical(y)[:150]}")
            x, y = next(left, None), next(right, None)


def user_collections(c):
    """{db: [names]} of what is no system collection."""
    r = c.get("/_api/database")
    assert r.status == 200, r
    found = {}
    for db in r.json["result"]:
        r = c.get(f"/_db/{quote(db)}/_api/collection?excludeSystem=true")
        assert r.status == 200, (db, r)
        found[db] = sorted(x["name"] for x in r.json["result"]
                           if not x["name"].startswith("_"))
    return found


# What both sides must agree on; identities, sizes and estimates may differ.
PROPERTIES = ("name", "type", "numberOfShards", "shardKeys", "shardingStrategy",
              "waitForSync", "schema", "cacheEnabled", "isSystem",
              "replicationFactor", "writeConcern")
KEY_OPTIONS = ("type", "allowUserKeys", "increment")
NOT_OF_AN_INDEX = ("id", "selectivityEstimate", "figures", "isNewlyCreated",
                   "inBackground", "error", "code")


def structure_of(c):
    """{(db, collection): facts}, comparable with =="""
    out = {}
    for db, names in user_collections(c).items():
        out[(db, "")] = "database"
        for name in names:
            path = f"/_db/{quote(db)}/_api/collection/{quote(name)}/properties"
            r = c.get(path)
            assert r.status == 200, (path, r)
            p = {k: r.json.get(k) for k in PROPERTIES}
            p["keyOptions"] = {k: r.json.get("keyOptions", {}).get(k)
                               for k in KEY_OPTIONS}
            r = c.get(f"/_db/{quote(db)}/_api/index?collection={quote(name)}")
            assert r.status == 200, (db, name, r)
            p["indexes"] = sorted(
                canonical({k: v for k, v in x.items()
                           if k not in NOT_OF_AN_INDEX})
                for x in r.json["indexes"])
            out[(db, name)] = p
    return out


def compare_structure(a, b, found):
    x, y = structure_of(a), structure_of(b)
    for k in sorted(x.keys() | y.keys()):
        name = "/".join(k)
        if k not in y:
            found.add(f"{name} is missing in the target")
        elif k not in x:
            found.add(f"{name} is too much in the target")
        elif x[k] != y[k]:
            d = [f"{p}: {x[k][p]} became {y[k][p]}" for p in x[k]
                 if x[k][p] != y[k][p]]
            found.add(f"{name}: {', '.join(d)}")
    return sorted(k for k in x.keys() & y.keys() if k[1])


def compare(a, b, batch=2000):
    """Everything that a client can see, of everything that is replicated."""
    found = Differences()
    for db, name in compare_structure(a, b, found):
        compare_collection(a, b, db, name, found, batch)
    return found


def fingerprint(c, db, name):
    """Cheap: does waiting longer make sense?  Never a proof."""
    path = f"/_db/{quote(db)}/_api/collection/{quote(name)}"
    r = c.get(path + "/checksum?withRevisions=true&withData=true")
    n = c.get(path + "/count")
    if r.status != 200 or n.status != 200:
        return None
    return r.json["checksum"], n.json["count"]


class Root:
    """A cluster as its user root sees it: not as a superuser, for whom read-only
    mode does not hold."""

    def __init__(self, cluster):
        self.c = cluster

    def connect(self, name="coordinator1", **kw):
        return Http(self.c.server(name)["endpoint"], basic("root", "geheim"), **kw)


# ---- a network that can be cut -------------------------------------------------------

class Proxy:
    """TCP from a port of its own to another one.  cut(): connections are reset
    and new ones refused; stall(): they stay open and nothing moves."""

    def __init__(self, to):
        self.to, self.port = to, free_port()
        self.flows, self.lock = set(), threading.Lock()
        self.moving = threading.Event()
        self.moving.set()
        self.listener, self.bytes, self.closed = None, 0, False
        self.mend()

    def mend(self):
        """Undoes cut() and stall()."""
        self.moving.set()
        if self.listener is None:
            s = socket.socket(socket.AF_INET)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", self.port))
            s.listen(64)
            self.listener = s
            threading.Thread(target=self.accept, args=(s,), daemon=True).start()

    def stall(self):
        self.moving.clear()

    def cut(self):
        s, self.listener = self.listener, None
        if s is not None:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        with self.lock:
            flows, self.flows = self.flows, set()
        for f in flows:
            self.end(f)
        self.moving.set()

    def close(self):
        self.closed = True
        self.cut()

    @staticmethod
    def end(s):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()

    def accept(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            try:
                o = socket.create_connection(("127.0.0.1", self.to), 10)
            except OSError:
                s.close()
                continue
            o.settimeout(None)
            with self.lock:
                if self.listener is not listener:
                    self.end(s)
                    self.end(o)
                    return
                self.flows |= {s, o}
            for x, y in ((s, o), (o, s)):
                threading.Thread(target=self.pump, args=(x, y),
                                 daemon=True).start()

    def pump(self, x, y):
        try:
            while True:
                data = x.recv(65536)
                self.moving.wait()
                if not data:
                    break
                y.sendall(data)
                self.bytes += len(data)
        except OSError:
            pass
        for s in (x, y):
            self.end(s)
            with self.lock:
                self.flows.discard(s)


# ---- processes -----------------------------------------------------------------------

def holders(path):
    """Processes that have this file open: children of a daemon, also those
    whose supervisor is gone, by the lock that all of them inherit."""
    found = set()
    path = os.path.realpath(path)
    for p in os.listdir("/proc"):
        if not p.isdigit():
            continue
        try:
            fds = os.listdir(f"/proc/{p}/fd")
        except OSError:
            continue
        for f in fds:
            try:
                if os.readlink(f"/proc/{p}/fd/{f}") == path:
                    found.add(int(p))
                    break
            except OSError:
                pass
    return found


def kill_now(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except OSError:
        return False


class Daemon(Master):
    """A master whose processes are all found, and all ended."""

    def holders(self):
        return holders(os.path.join(self.data, "data.lock"))

    def find(self, title):
        """{title: pid} of the children whose title begins so."""
        return {t: p for t, p in self.children().items()
                if t == title or t.startswith(title + " ")}

    def kill_child(self, title, which=0):
        """kill -9 of the child with this title; its full title.  Waits until
        there is one."""
        def there():
            found = sorted(self.find(title).items())
            return found[which % len(found)] if found else None
        full, pid = wait_for(there, f"{self.name} has a child {title}", 20)
        kill_now(pid)
        wait_for(lambda: not is_alive(pid), f"{full} is dead", 10)
        return full

    def kill_supervisor(self):
        """Only the supervisor; the children are to leave by themselves."""
        kill_now(self.pid)
        self.process.wait()
        self.process = None

    def kill(self):
        """Everything of it at once, as when the machine dies."""
        pids = self.holders()
        if self.process is not None:
            pids.add(self.pid)
        for p in pids:
            kill_now(p)
        if self.process is not None:
            self.process.wait()
            self.process = None
        # those that were forked between looking and killing
        for p in self.holders():
            kill_now(p)

    def tail_of_log(self, lines=40):
        try:
            with open(self.log, errors="replace") as f:
                return f.read().splitlines()[-lines:]
        except OSError:
            return []


class Pair:
    """a is the source, b the target; ma and mb are their masters."""

    def __init__(self, dbservers=3, b_dbservers=None, coordinators=1,
                 proxy=False, args=(), b_args=(), masters=True):
        self.a = Cluster(coordinators, dbservers, "secret-of-the-source", args)
        self.b = Cluster(coordinators, b_dbservers or dbservers,
                         "secret-of-the-target", b_args or args)
        self.has_proxy, self.proxy = proxy, None
        self.with_masters = masters
        self.ka = self.kb = None

    def __enter__(self):
        try:
            for c in (self.a, self.b):
                c.launch()
            if self.with_masters:
                self.make_masters()
                for m in self.masters:
                    m.start()
                for m in self.masters:
                    m.wait_version(20)
                    wait_for(m.leads, f"{m.name} leads", 40)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def make_masters(self):
        self.ka, self.kb = Kit(), Kit()
        self.ma = self.make_master(self.ka, "a", self.a)
        self.mb = self.make_master(self.kb, "b", self.b)
        self.masters = [self.ma, self.mb]
        if self.has_proxy:
            self.proxy = Proxy(self.ma.port)
            self.ma.flags["master.endpoint"] = [self.source_url]

    def make_master(self, kit, name, cluster):
        ends = [s["endpoint"] for s in cluster.info()["servers"]
                if s["role"] == "coordinator"]
        m = Daemon(kit, name, ends, cluster.secret)
        m.flags["master.endpoint"] = [m.url]
        return m

    def __exit__(self, kind, value, tb):
        if self.proxy is not None:
            self.proxy.close()
        if kind is not None:
            self.explain()
        for k in (self.ka, self.kb):
            if k is not None:
                k.__exit__(kind, value, tb)
        for c in (self.a, self.b):
            if os.path.exists(os.path.join(c.dir, "cluster.json")):
                c.__exit__(kind, value, tb)
            else:
                shutil.rmtree(c.top, ignore_errors=True)

    @property
    def source_url(self):
        if self.proxy is not None:
            return f"https://127.0.0.1:{self.proxy.port}"
        return self.ma.url

    def explain(self):
        """What a person would look at after a failure."""
        if self.ka is None:
            return
        for m in self.masters:
            try:
                r = self.command("get", "status", "--verbose", at=m)
                text = r.out + r.err
            except Exception as e:
                text = repr(e)
            for line in text.splitlines()[:40]:
                print(f"# {m.name}: {line}")
            x = self.try_status(m)
            for part in [x.get("x", {}).get("link")] + \
                    [o.get("x") for o in x.get("outgoing", ())]:
                if part:
                    print(f"# {m.name} x: {json.dumps(part)}")
            for line in m.tail_of_log():
                print(f"# {m.name} log: {line}")
            if os.environ.get("TEST_KEEP"):
                kept = os.path.join(tempfile.gettempdir(),
                                    f"arangosync-test-{os.getpid()}-{m.name}.log")
                shutil.copy(m.log, kept)
                print(f"# {m.name} log: all of it is {kept}")

    # ---- commands

    def command(self, *words, at=None, timeout=150):
        """An operator's command at a master (b's); Result."""
        m = at or self.mb
        p = subprocess.run(
            [PROGRAM, *words, "--master.endpoint", m.url, "--master.cacert",
             m.kit.path("tls-ca.crt"), "--auth.keyfile",
             m.kit.path("client.keyfile")],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout * SLOW)
        return Result(p.returncode, p.stdout, p.stderr)

    def configure_args(self):
        return ["configure", "sync", "--source.endpoint", self.source_url,
                "--source.cacert", self.ka.path("tls-ca.crt"),
                "--master.keyfile", self.ka.path("client.keyfile")]

    def configure(self):
        r = self.command(*self.configure_args())
        assert r.code == 0, r
        return r

    def stop(self, *more, seconds=60):
        """In order, with the barrier; afterwards both are inactive, the
        modes are restored."""
        r = self.command("stop", "sync", f"--timeout={int(seconds * SLOW)}s",
                         *more, timeout=seconds + 30)
        assert r.code == 0, r
        assert "Synchronization stopped." in r.out, r
        self.assert_inactive()
        return r

    def assert_inactive(self):
        for m in self.masters:
            s = self.status(m)
            assert s["status"] in ("inactive", ""), (m.name, s)
            assert not s.get("shardsCount") and not s.get("shards"), (m.name, s)
            assert not s.get("source") and not s.get("outgoing"), (m.name, s)

    # ---- states

    def status(self, m=None):
        m = m or self.mb
        r = m.get("/_api/sync", forward=True)
        assert r.status == 200, (m.name, r)
        return r.json

    def try_status(self, m=None):
        try:
            return self.status(m)
        except (AssertionError, OSError, ValueError, http.client.HTTPException):
            return {}

    def wanted_shards(self):
        """(db, collection, index) of all that the source's Plan has."""
        out = set()
        for db, cols in (self.a.agency("/arango/Plan/Collections") or {}).items():
            for c in cols.values():
                if not c["name"].startswith("_") and not c.get("deleted"):
                    out |= {(db, c["name"], i) for i in range(len(c["shards"]))}
        return out

    def running_shards(self, status):
        return {(s["database"], s["collection"], s["shardIndex"])
                for s in status.get("shards", ()) if s["status"] == RUNNING}

    def wait_running(self, seconds=40):
        """The whole is running, and so is each shard of the source."""
        why = [""]

        def good():
            s = self.try_status()
            missing = self.wanted_shards() - self.running_shards(s)
            why[0] = f"{s.get('status')}, {len(missing)} shards are not: " \
                f"{sorted(missing)[:3]}"
            return s.get("status") == RUNNING and not missing
        try:
            wait_for(good, "all shards run", seconds)
        except AssertionError as e:
            raise AssertionError(f"{e} ({why[0]})") from None

    def wait_equal(self, seconds=45):
        """The source is quiet: until the target has everything; then the whole
        comparison, once."""
        settled, why = set(), [""]

        def good():
            try:
                found = Differences()
                todo = compare_structure(self.a, self.b, found)
                why[0] = str(found)
                if found:
                    return False
                for k in todo:
                    if k in settled:
                        continue
                    x, y = (fingerprint(c, *k) for c in (self.a, self.b))
                    if x is None or x != y:
                        why[0] = f"{k}: (checksum, count) {x} and {y}"
                        return False
                    settled.add(k)
                return True
            except (AssertionError, OSError, ValueError, KeyError,
                    http.client.HTTPException) as e:
                why[0] = repr(e)
                return False
        try:
            wait_for(good, "both sides are equal", seconds)
        except AssertionError as e:
            raise AssertionError(f"{e} ({why[0]})") from None
        return self.assert_equal()

    def assert_equal(self, least=1):
        """Document by document; at least so many were compared."""
        found = compare(self.a, self.b)
        assert not found, str(found)
        assert found.documents >= least, \
            f"only {found.documents} documents were compared"
        return found.documents

    def leader_of(self, cluster, db, name, index):
        """Connection to the DB-server that leads a shard, and its name."""
        shard, servers = list(cluster.shards(name, db).items())[index]
        return Http(cluster.server_of_id(servers[0])["endpoint"],
                    cluster.token()), shard

    def read_only(self, cluster):
        r = cluster.get("/_admin/server/mode")
        assert r.status == 200, r
        return r.json["mode"] == "readonly"

    def check_sync(self):
        r = self.command("check", "sync")
        assert r.code == 0 and "The whole data is the same" in r.out, r
        return r

    def note(self):
        """A line for the log of the test."""
        s = self.try_status()
        n = {}
        for x in s.get("shards", ()):
            n[x["status"]] = n.get(x["status"], 0) + 1
        print(f"# {s.get('status')}: {n}")


CRASH = re.compile(r"Sanitizer|runtime error:|killed by SIG(?:SEGV|ABRT|BUS|ILL|FPE)")


def no_process_has_crashed(p):
    """Whoever dies is started again, and everything else may be well: so the
    logs are looked at."""
    found = []
    for m in p.ka.masters + p.kb.masters:
        with open(m.log, errors="replace") as f:
            found += [f"{m.name}: {x.strip()[:300]}" for x in f if CRASH.search(x)]
    assert not found, f"{len(found)} lines: " + "; ".join(found[:10])


def run_all(prefix, tests, pair, seconds=180):
    """Runs fn(pair) for each test in TAP and ends the program.  When the time
    is over, what is left has failed; so has everything when the pair did not
    start.  The logs are shown once, at the first failure."""
    tests = [*tests, no_process_has_crashed]
    t = Tap(len(tests))
    began = time.monotonic()
    explained = False
    try:
        with pair as p:
            for fn in tests:
                name = f"{prefix}: {fn.__name__.replace('_', ' ')}"
                if time.monotonic() - began > seconds * SLOW and \
                        fn is not no_process_has_crashed:
                    t.run(name, late, seconds)
                    continue
                good = t.run(name, fn, p)
                print(f"# {time.monotonic() - began:.1f} s")
                if not good and not explained:
                    explained = True
                    p.explain()
    except Exception:
        while t.n < len(tests):
            fn = tests[t.n]
            t.run(f"{prefix}: {fn.__name__.replace('_', ' ')}", reraise,
                  sys.exc_info()[1])
    t.finish()


def late(seconds):
    raise AssertionError(f"not run: the {seconds} seconds of all tests are over")


def reraise(e):
    raise e
