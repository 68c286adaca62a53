#!/usr/bin/env python3
"""Wrong input of `run master`: one sentence on standard error, exit 2 for what
the argument list alone shows and 1 for the rest, nothing changed, no process
left."""
import http.server
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))

from master_lib import Kit, Master, free_port
from sandbox import Cluster, Tap, wait_for


class World:
    pass


w = World()


def snapshot(kit):
    return {f: os.stat(kit.path(f)).st_mtime_ns for f in kit.files()}


def args(**changed):
    """Good ones, but for the changed; None leaves one out."""
    f = {"cluster.endpoint": w.endpoint, "cluster.jwt-secret": w.cluster.secret,
         "server.endpoint": "https://127.0.0.1:%d" % w.port,
         "server.port": str(w.port), "server.keyfile": "tls.keyfile",
         "server.client-cafile": "ca.crt", "master.jwt-secret": "secret",
         "data.dir": "fresh"}
    for k, v in changed.items():
        f[k.replace("__", "-").replace("_", ".")] = v
    return ["run", "master"] + [f"--{k}={v}" for k, v in f.items()
                                if v is not None]


def processes():
    """Daemons whose arguments name our directory, or that work in it."""
    found = set()
    for p in os.listdir("/proc"):
        try:
            if p.isdigit() and os.readlink(f"/proc/{p}/cwd") == w.kit.dir:
                found.add(int(p))
        except OSError:
            pass
    return found


def fails(code, words, *more, **changed):
    """Also with a log file, which gets the sentence too."""
    before, agency = snapshot(w.kit), w.cluster.agency("/arangodb")
    running = processes()
    a = [*args(**changed), *more]
    w.kit.fails(code, words, *a)
    assert snapshot(w.kit) == before, set(w.kit.files()) ^ set(before)
    if code == 1:
        r = w.kit.fails(code, words, *a, "--log.file=log")
        assert words in w.kit.read("log").decode(), w.kit.read("log")
        os.unlink(w.kit.path("log"))
        assert snapshot(w.kit) == before
        assert len(r.err.splitlines()) == 1
    assert w.cluster.agency("/arangodb") == agency, "the agency was changed"
    assert processes() == running, "a process is left"


def refuses(words, *more, **changed):
    """The same for what is found out after the start; without log file the
    log is on standard error, with the sentence at its end."""
    before, agency = snapshot(w.kit), w.cluster.agency("/arangodb")
    running = processes()
    a = [*args(**changed), *more]
    r = w.kit.run(*a)
    assert r.code == 1 and r.out == "", r
    assert words in r.err.splitlines()[-1], r
    r = w.kit.fails(1, words, *a, "--log.file=log")
    assert words in w.kit.read("log").decode()
    os.unlink(w.kit.path("log"))
    if "data_dir" not in changed:
        shutil.rmtree(w.kit.path("fresh"))
        assert snapshot(w.kit) == before
    assert w.cluster.agency("/arangodb") == agency, "the agency was changed"
    assert processes() == running, "a process is left"


# ---- exit 2 ----------------------------------------------------------------------------

def missing_flags():
    for flag in ("cluster_endpoint", "server_endpoint", "server_keyfile"):
        fails(2, "--" + flag.replace("_", "."), **{flag: None})


def malformed_flags():
    fails(2, "--no-such-flag", "--no-such-flag")
    fails(2, "extra", "extra")
    for flag, values in {
            "cluster_endpoint": ("", "nonsense://x", "http://", "http://h:99999",
                                 "http://h:1/path"),
            "server_endpoint": ("", "ftp://x:1"),
            "master_endpoint": ("nonsense://x",),
            "server_port": ("", "0", "65536", "-1", "8629x", "eighty"),
            "server_keyfile": ("",), "server_client__cafile": ("",),
            "cluster_jwt__secret": ("",), "master_jwt__secret": ("",),
            "data_dir": ("",), "pid__file": ("",), "log_file": ("",),
            "mq_type": ("kafka", "", "Direct"),
            "mq_quota": ("", "5", "15MiB", "-1", "much", "1e9",
                         "99999999999999999999"),
            "mq_channel__quota": ("", "5", "-1", "much"),
            "mq_direct__token__ttl": ("", "12", "forever", "1s", "-1h"),
            "worker_max__initial__sync__tasks": ("", "0", "many"),
            "log_level": ("loud", ""),
            "log_stderr": ("maybe",), "debug_profile": ("2",)}.items():
        name = "--" + flag.replace("__", "-").replace("_", ".")
        for v in values:
            fails(2, name, **{flag: v})


# ---- exit 1: files ---------------------------------------------------------------------

def keyfiles():
    k = w.kit
    flag = "--server.keyfile"
    fails(1, flag, server_keyfile="absent")
    fails(1, flag, server_keyfile=k.dir)
    k.write("empty", "")
    fails(1, flag, server_keyfile="empty")
    k.write("text", "not a certificate\n")
    fails(1, "holds no certificate", server_keyfile="text")
    fails(1, "holds no private key", server_keyfile="tls-ca.crt")
    fails(1, flag, server_keyfile="tls-ca.key")
    k.new_keyfile("second.keyfile")
    cert = k.read("tls.keyfile").split(b"-----BEGIN")[1]
    key = [b for b in k.read("second.keyfile").split(b"-----BEGIN") if b"PRIVATE" in b]
    k.write("mixed", b"-----BEGIN" + cert + b"-----BEGIN" + key[0])
    fails(1, "does not belong", server_keyfile="mixed")
    k.write("cut", k.read("tls.keyfile")[:300])
    fails(1, flag, server_keyfile="cut")
    os.mkfifo(k.path("fifo"))
    fails(1, flag, server_keyfile="fifo")
    os.unlink(k.path("fifo"))
    k.write("huge", b"x" * (5 * 1024 * 1024))
    fails(1, flag, server_keyfile="huge")
    k.new_keyfile("short.keyfile", "--validfor", "1s")
    time.sleep(2.1)
    fails(1, "expired", server_keyfile="short.keyfile")


def authorities():
    flag = "--server.client-cafile"
    fails(1, flag, server_client__cafile="absent")
    fails(1, flag, server_client__cafile="text")
    fails(1, flag, server_client__cafile="empty")
    fails(1, flag, server_client__cafile="ca.key")


def secrets():
    k = w.kit
    k.write("blank", " \n\t\n")
    k.write("long", "x" * 100)
    for flag in ("master_jwt__secret", "cluster_jwt__secret"):
        name = "--" + flag.replace("__", "-").replace("_", ".")
        for f in ("absent", "empty", "blank", "long", k.dir):
            fails(1, name, **{flag: f})


# ---- exit 1: port, directory -------------------------------------------------------------

def port_in_use():
    with socket.socket() as s:
        s.bind(("0.0.0.0", w.port))
        s.listen()
        fails(1, "port %d" % w.port)


def directories():
    k = w.kit
    k.write("plain", "")
    fails(1, "data directory", data_dir="plain")
    fails(1, "data directory", data_dir="plain/below")
    if os.geteuid() == 0:
        fails(1, "data directory", data_dir="/proc/arangosync-test")
    else:
        os.mkdir(k.path("closed"), 0o500)
        fails(1, "data directory", data_dir="closed/below")
        fails(1, "data directory", data_dir="closed")
    before = k.files()
    k.fails(1, "--log.file", *args(), "--log.file=plain/log")
    assert k.files() == before
    k.fails(1, "--pid-file", *args(), "--pid-file=absent/pid")
    shutil.rmtree(k.path("fresh"))
    if os.geteuid() == 0:
        fails(1, "--user", "--user=no-such-user")


def locked():
    m = Master(w.kit, "first", [w.endpoint], w.cluster.secret).start()
    wait_for(m.leads, "leads")
    before = w.cluster.agency("/arangodb/arangosync/leader")
    fails(1, str(m.pid), data_dir=m.data)
    assert w.cluster.agency("/arangodb/arangosync/leader") == before and m.leads()
    r = w.kit.run(*args(server_port=str(m.port)))
    assert r.code == 1 and "port" in r.err and m.leads(), r
    assert not os.path.exists(w.kit.path("fresh"))
    assert m.stop()[0] == 0
    w.used = m.data


# ---- exit 1: the cluster -------------------------------------------------------------------

def not_a_coordinator():
    for name in ("dbserver1", "agent1"):
        e = w.cluster.server(name)["endpoint"]
        refuses("no coordinator", cluster_endpoint=e)


class Single(http.server.BaseHTTPRequestHandler):
    """A server that is not part of a cluster, as far as anybody asks."""
    answer = {"error": False, "code": 200, "role": "SINGLE", "mode": "default"}

    def do_GET(self):
        body = json.dumps(self.answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *a):
        pass


def single_server():
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Single)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    refuses("it says SINGLE",
            cluster_endpoint="http://127.0.0.1:%d" % s.server_address[1])
    s.shutdown()


def wrong_secret():
    refuses("--cluster.jwt-secret", cluster_jwt__secret="secret")
    refuses("give --cluster.jwt-secret", cluster_jwt__secret=None)


def other_cluster():
    """A data directory that was another cluster's."""
    with Cluster(dbservers=1) as other:
        e = other.server("coordinator1")["endpoint"]
        refuses("belongs to cluster", cluster_endpoint=e, data_dir=w.used,
                cluster_jwt__secret=None)
        assert other.agency("/arangodb") is None


def wrong_id():
    shutil.copytree(w.used, w.kit.path("damaged"))
    w.kit.write("damaged/master-id", "me")
    refuses("master-id", data_dir="damaged")


def later_is_not_fatal():
    """What has worked once is waited for: a secret that goes wrong later."""
    secret = w.kit.write("mine", open(w.cluster.secret).read())
    m = Master(w.kit, "later", [w.endpoint], w.kit.path(secret)).start()
    wait_for(m.leads, "leads")
    w.kit.write("mine", "wrong")
    m.process.send_signal(signal.SIGHUP)
    wait_for(lambda: m.logged("has changed"), "the wrong one was taken")
    os.kill(m.children()["control"], signal.SIGKILL)
    wait_for(lambda: m.logged("does not take this secret"), "it says so")
    assert m.try_status("/_api/version") == 200
    r = m.get("/_api/health")
    assert r.status == 503 and "secret" in r.json["Error"], r
    assert m.process.poll() is None
    shutil.copy(w.cluster.secret, w.kit.path("mine"))
    m.process.send_signal(signal.SIGHUP)
    wait_for(m.leads, "leads again", 35)
    assert m.stop()[0] == 0


def accepted():
    """What users of the Starter pass, and older spellings."""
    m = Master(w.kit, "odd", [w.endpoint], None)
    m.flags.update({"cluster.jwtSecret": [w.cluster.secret],
                    "log.level": ["warn"], "log.stderr": ["true"],
                    "log.file": [w.kit.path("odd.log")],
                    "mq.direct-token-ttl": ["12h"],
                    "worker.max-initial-sync-tasks": ["8"],
                    "mq.quota": ["100GiB"], "mq.channel-quota": ["1MiB"],
                    "debug.profile": ["true"],
                    "master.endpoint": ["https://outside:8629", "https://b:8629"]})
    m.start()
    wait_for(m.leads, "leads")
    assert m.get("/_api/endpoints").json["endpoints"] == \
        ["https://outside:8629", "https://b:8629"]
    # a line of a child, in both places
    assert not m.logged("leads")
    w.kit.write("tls.good", w.kit.read("tls.keyfile"))
    w.kit.write("tls.keyfile", "x")
    m.process.send_signal(signal.SIGHUP)
    wait_for(lambda: m.logged("server.keyfile"), "on standard error")
    assert b"server.keyfile" in w.kit.read("odd.log")
    w.kit.write("tls.keyfile", w.kit.read("tls.good"))
    assert m.stop()[0] == 0


def another_user():
    """--user: children give root up, the data directory is theirs."""
    m = Master(w.kit, "given", [w.endpoint], w.cluster.secret, user=["nobody"])
    os.chmod(w.kit.dir, 0o755)
    m.start()
    wait_for(m.leads, "leads")
    for pid in m.children().values():
        assert os.stat(f"/proc/{pid}").st_uid == 65534
    assert os.stat(os.path.join(m.data, "master-id")).st_uid == 65534
    assert os.stat(m.data).st_uid == 65534
    assert m.stop()[0] == 0


TESTS = [missing_flags, malformed_flags, keyfiles, authorities, secrets,
         port_in_use, directories, locked, not_a_coordinator, single_server,
         wrong_secret, other_cluster, wrong_id, later_is_not_fatal, accepted]
t = Tap(len(TESTS) + 1)
with Kit() as w.kit, Cluster(dbservers=1, auth=True) as w.cluster:
    w.endpoint = w.cluster.server("coordinator1")["endpoint"]
    w.port = free_port()
    for test in TESTS:
        t.run("input: " + test.__name__.replace("_", " "), test)
    if os.geteuid() == 0:
        t.run("input: another user", another_user)
    else:
        t.skip("input: another user", "needs root")
t.finish()
