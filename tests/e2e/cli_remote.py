#!/usr/bin/env python3
"""The commands that talk to masters, against masters that play their parts.
Part of make check."""
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/e2e"))
from cli_lib import PROGRAM, Place
from cli_master import (INACTIVE, ZERO, Answer, Master, info, shard,
                        unused_port)
from sandbox import Tap, basic, wait_for

WARNING = ("Accepting unverified master TLS certificate. "
           "Use --master.cacert.")
S503 = Answer(503, {"Error": "not the leader"})


class Stage(Place):
    """Certificates, made once, and masters that use them."""

    def __init__(self):
        super().__init__()
        self.good("create", "tls", "ca")
        self.good("create", "tls", "keyfile", "--host=127.0.0.1")
        self.good("create", "tls", "ca", "--cert=other.crt",
                  "--key=other.key")
        self.good("create", "client-auth", "ca")
        self.good("create", "client-auth", "keyfile")
        self.good("create", "jwt-secret")

    def master(self, routes=None, **kw):
        return Master(self.path("tls.keyfile"), routes, **kw)

    def ask(self, m, *words, verify=True, **kw):
        """words to these masters; they are verified."""
        flags = [f"--master.endpoint={x.url if isinstance(x, Master) else x}"
                 for x in (m if isinstance(m, (list, tuple)) else [m])]
        if verify:
            flags.append("--master.cacert=tls-ca.crt")
        return self.run(*words, *flags, **kw)

    def ok(self, m, *words, **kw):
        r = self.ask(m, *words, **kw)
        assert r.code == 0 and r.err == "", (words, r)
        return r.out

    def bad(self, code, sentence, m, *words, **kw):
        r = self.ask(m, *words, **kw)
        assert r.code == code and sentence in r.err, (sentence, words, r)
        assert r.err.startswith("arangosync: "), r
        return r


RUNNING = info("running", [
    shard("_system", "_users", delay=123456789,
          last_message="2022-11-02T09:41:52.461375805Z", in_sync=True),
    shard("shop", "orders", 0, delay=2 * 10**9), shard("shop", "orders", 1)])


# --- status -----------------------------------------------------------------

def status(s):
    with s.master({"GET /_api/sync": RUNNING}) as m:
        out = s.ok(m, "get", "status")
        lines = out.splitlines()
        assert lines[0] == "All shards are running.", out
        for words in ("Status:   running", "Source:   https://s:8629",
                      "3 of 3 running", "2s at most"):
            assert words in out, (words, out)
        assert "orders" not in out
        assert m.asked() == ["GET /_api/sync?details=full"]
        for v in ("-v", "--verbose", "--verbose=true"):
            out = s.ok(m, "get", "status", v)
            rows = [x.split() for x in out.splitlines()]
            assert re.search("Database.*Collection.*Shard.*Duration", out), out
            assert ["_system", "_users", "0", "running", "123ms",
                    "2022-11-02T09:41:52Z", "-", "yes", "-"] in rows, out
            assert ["shop", "orders", "1", "running", "-", "-", "-", "no",
                    "-"] in rows, out
        assert json.loads(s.ok(m, "get", "status", "--json")) == RUNNING
    x = {"message": "the source does not answer", "notes": ["shop/a: no", "b"]}
    with s.master({"GET /_api/sync": {**RUNNING, "x": x}}) as m:
        out = s.ok(m, "get", "status")
        assert "Message:  the source does not answer\n" in out, out
        assert "Notes:    2, shown with --verbose\n" in out, out
        out = s.ok(m, "get", "status", "--verbose")
        assert "Notes:    shop/a: no\n            b\n" in out, out


def target(id, status, shards=(), **more):
    o = info(status, shards)
    return {"id": id, "endpoint": ["https://t:8629"],
            **{k: v for k, v in o.items() if k != "source"}, **more}


HEADLINES = [
    (INACTIVE, r"Nothing is synchronized\. Use \"arangosync configure sync"),
    (info("inactive", source=()), "Nothing is synchronized"),
    (info("inactive", source=(), cancellationAborted=True),
     "the source was not told. Use \"arangosync abort outgoing sync\""),
    (info("inactive"), "not cleaned up"),
    (info("initializing"), "Initial synchronization is going on, 0 of 0"),
    (info("initial-sync", [shard("a", "b"), shard("a", "c", 0, "initial-sync")]),
     "Initial synchronization is going on, 1 of 2 shards are running"),
    (info("running", [shard("a", "b")], totalShardsCount=5),
     "1 of 5 shards are running"),
    (info("running", [shard("a", "b"), shard("a", "c", 2, "failed",
                                             status_message="no space")]),
     "1 of 2 shards has failed; the first is a/c/2 (no space). When the "
     "reason is gone, use \"arangosync reset failed shard --database a "
     "--collection c --shard 2\""),
    (info("failed", [shard("a", "b", 0, "failed", status_message="broken")]),
     "Synchronization has failed: broken"),
    (info("cancelling"), "abort sync"),
    (info("hovering"), "is hovering, which this program does not know"),
    (info("", outgoing=[target("T1", "running", [shard("a", "b")])],
          source=()), "All shards are running."),
    (info("running", [shard("a", "b")],
          [target("T1", "running", [shard("a", "b", 0, "failed")])]),
     "1 of 1 shards to T1 has failed; the first is a/b/0. They are reset at "
     "the target"),
    (info("", outgoing=[target("T1", "initial-sync"),
                        target("T2", "failed")], source=()),
     "Synchronization to T2 has failed"),
    (info("", outgoing=[target("T1", "cancelling")], source=()),
     "abort outgoing sync"),
    (info("running", [shard("a", "b")],
          x={"space": {"message": "The disk is full."}}), "The disk is full."),
    (info("failed", x={"space": {"message": "The disk is full."}}),
     "\"arangosync configure sync\" again. The disk is full."),
    (info("running", [shard("a", "b")], x={"space": {"state": "enough"}}),
     "All shards are running."),
]


def headlines(s):
    with s.master() as m:
        for answer, words in HEADLINES:
            m.routes["GET /_api/sync"] = answer
            out = s.ok(m, "get", "status")
            first = out.splitlines()[0]
            assert words.replace("\\", "") in first, (words, out)
        m.routes["GET /_api/sync"] = info(
            "", outgoing=[target("T1", "running", [shard("a", "b")],
                                 active_barrier=True)], source=())
        out = s.ok(m, "get", "status", "-v")
        assert "Outgoing to T1" in out and "Incoming" not in out, out
        assert "the source is read-only" in out


# --- lists ------------------------------------------------------------------

TASKS = {"tasks": [
    {"id": "VdqloPL8dlbkfeOx", "task": {
        "type": "receive-shard", "database": "_system",
        "collection": "_queuesbackup",
        "channels": {"data": "sync_b_m1.nZ", "control": "sync_a_m2.Zx"}},
     "assignment": {"worker_id": "Dx7IJfx3IPnyUsEc3mRi",
                    "created_at": "2022-11-02T09:41:52.74196268Z",
                    "counter": 1}},
    {"id": "DDAeBcWEn0icfTua", "task": {
        "type": "send-inventory", "persistent": True, "target_id": "T1",
        "channels": {"data": "x"}},
     "assignment": {"worker_id": "", "created_at": ZERO}}]}


def lists(s):
    masters = {"masters": [
        {"id": "a" * 32, "endpoint": "https://m1:8629", "leader": True},
        {"id": "b" * 32, "endpoint": "https://m2:8629", "leader": False}]}
    workers = {"workers": [
        {"id": "nT95", "endpoint": "https://w:8729", "host": "h1",
         "expiresAt": "2022-11-02T10:00:00Z",
         "serverID": 5340774647547379703}]}
    with s.master({"GET /_api/task": TASKS, "GET /_api/masters": masters,
                   "GET /_api/worker": workers}) as m:
        rows = [x.split() for x in s.ok(m, "get", "tasks").splitlines()]
        assert rows == [
            ["ID", "Type", "Database", "Collection", "Shard", "Worker",
             "Since"],
            ["VdqloPL8dlbkfeOx", "receive-shard", "_system", "_queuesbackup",
             "0", "Dx7IJfx3IPnyUsEc3mRi", "2022-11-02T09:41:52Z"],
            ["DDAeBcWEn0icfTua", "send-inventory", "-", "-", "-", "-", "-"],
        ], rows
        out = s.ok(m, "get", "tasks", "-v")
        for words in ("sync_b_m1.nZ", "sync_a_m2.Zx", "T1", "yes"):
            assert words in out, (words, out)
        assert json.loads(s.ok(m, "get", "tasks", "--json")) == TASKS
        rows = [x.split() for x in s.ok(m, "get", "masters").splitlines()]
        assert rows[1] == ["a" * 32, "https://m1:8629", "yes"], rows
        assert rows[2] == ["b" * 32, "https://m2:8629", "no"], rows
        out = s.ok(m, "get", "workers", "-v")
        assert "5340774647547379703" in out and "h1" in out, out
        m.routes.update({"GET /_api/task": {}, "GET /_api/masters": {
            "masters": []}, "GET /_api/worker": {"workers": None}})
        assert s.ok(m, "get", "tasks") == "There are no tasks.\n"
        assert s.ok(m, "get", "masters") == "There are no masters.\n"
        assert s.ok(m, "get", "workers") == "There are no workers.\n"
        for bad in ({"tasks": 1}, {"tasks": [1]}, {"tasks": [{"id": 7}]},
                    {"tasks": [{"id": "x", "task": {"shardIndex": "0"}}]}):
            m.routes["GET /_api/task"] = bad
            s.bad(1, "the answer of the master is wrong", m, "get", "tasks")


def versions(s):
    a = {"GET /_api/version": {"version": "2.18.2", "build": "0123abcd"},
         "GET /_api/role": {"role": "master"}}
    b = {"GET /_api/version": {"version": "0.1.0", "build": "x"},
         "GET /_api/role": {"role": "worker"}}
    with s.master(a) as m, s.master(b) as w:
        rows = [x.split() for x in s.ok([m, w], "get", "version").splitlines()]
        assert rows == [["Endpoint", "Version", "Build"],
                        [m.url, "2.18.2", "0123abcd"],
                        [w.url, "0.1.0", "x"]], rows
        assert "worker" in s.ok([m, w], "get", "version", "-v")
        o = json.loads(s.ok([m, w], "get", "version", "--json"))
        assert [x["version"] for x in o] == ["2.18.2", "0.1.0"], o
        # One that is not there is told, the other is printed.
        nobody = unused_port()
        r = s.bad(1, nobody, [m, nobody], "get", "version")
        assert "2.18.2" in r.out, r


# --- who asks ---------------------------------------------------------------

def credentials(s):
    # Python's verifier wants authorities that are marked for clients, so it
    # does not see one.
    end = b"-----END CERTIFICATE-----\n"
    leaf, _, key = s.read("client-auth.keyfile").split(end)
    s.write("leaf", leaf + end)
    s.write("leaf.keyfile", leaf + end + key)
    with s.master({"GET /_api/masters": {}}, client_cert=s.path("leaf")) as m:
        def last(*flags, **kw):
            r = s.ask(m, "get", "masters", *flags, **kw)
            assert r.code == 0, r
            return m.log[-1], r
        q, r = last()
        assert "authorization" not in q.headers and not q.peer, q.headers
        assert q.headers["x-allow-forward-to-leader"] == "true"
        assert WARNING not in r.err
        q, r = last(verify=False)
        assert WARNING in r.err, r
        q, _ = last("--auth.user=root")
        assert q.headers["authorization"] == basic("root", "")
        q, _ = last("--auth.user=root", "--auth.password", "pä:ss")
        assert q.headers["authorization"] == "Basic cm9vdDpww6Q6c3M=", q.headers
        q, _ = last("--auth.jwt-secret=secret.jwt")
        scheme, token = q.headers["authorization"].split()
        assert scheme == "bearer" and token.count(".") == 2
        # A user comes before a secret, a certificate beside both.
        q, _ = last("--auth.jwt-secret=secret.jwt", "--auth.user=u",
                    "--auth.keyfile=leaf.keyfile")
        assert q.headers["authorization"] == basic("u", "") and q.peer
        m.routes["GET /_api/masters"] = Answer(401, {"Error": "unauthorized"})
        r = s.bad(1, "use --auth.user, --auth.keyfile or --auth.jwt-secret",
                  m, "get", "masters")
        r = s.bad(1, "unauthorized (status 401", m, "get", "masters",
                  "--auth.user=x")
        assert "pass" not in r.err


def certificates(s):
    with s.master({"GET /_api/masters": {}}) as m:
        r = s.bad(1, m.url, m, "get", "masters", "--master.cacert=other.crt",
                  verify=False)
        assert "certificate" in r.err, r
        assert m.log == []
        # A certificate for another host.
        s.bad(1, "localhost", m.url.replace("127.0.0.1", "localhost"), "get",
              "masters")
        s.write("junk", "junk")
        s.write("half", s.read("client-auth-ca.crt"))
        for flag, words in (
                ("--master.cacert=junk", "No certificates found in junk"),
                ("--master.cacert=none", "Failed to read none"),
                ("--auth.keyfile=junk", "No certificates found in keyfile"),
                ("--auth.keyfile=half", "No private key found in keyfile"),
                ("--auth.keyfile=none", "Failed to read none"),
                ("--auth.jwt-secret=none", "none")):
            r = s.ask(m, "get", "masters", flag,
                      verify="cacert" not in flag)
            assert r.code == 1 and words in r.err, (flag, r)
        assert m.log == []


# --- whom to ask ------------------------------------------------------------

def endpoints(s):
    good = {"GET /_api/masters": {}}
    with s.master({"GET /_api/masters": S503}) as a, s.master(good) as b, \
            s.master({"GET /_api/masters": Answer(408)}) as c:
        nobody = unused_port()
        for _ in range(4):      # the order is random
            s.ok([a, nobody, c, b], "get", "masters")
            s.ok([b, a], "get", "masters")
        assert len(b.log) == 8
        assert 0 < len(a.log) + len(c.log), "the order is not random"
        r = s.bad(1, "All 2 servers responded with temporary failure with "
                  "http status code: ", [a, c], "get", "masters")
        r = s.bad(1, "All 1 servers responded with temporary failure with "
                  "http status code: 503: service unavailable", a, "get",
                  "masters")
        r = s.bad(1, nobody, [nobody, a], "get", "masters")
        assert "status 503" in r.err, r
        # 4xx is an answer: nobody else is asked.
        for status in (400, 403, 404, 412, 201, 204):
            n = len(b.log)
            a.routes["GET /_api/masters"] = b.routes["GET /_api/masters"] = \
                Answer(status, {"Error": "no such thing"})
            s.bad(1, f"status {status}" if status != 204 else "Status 204",
                  [a, b], "get", "masters")
            assert len(a.log) + len(b.log) > n
        # Comma form, older names of schemes, and a bare list.
        b.routes.update(good)
        s.ok(f"{nobody},{b.url}", "get", "masters")
        s.ok(b.url.replace("https", "ssl") + "/", "get", "masters")


def wrong_flags(s):
    for flags, words in (
            ([], "--master.endpoint"),
            (["--master.endpoint="], "--master.endpoint"),
            (["--master.endpoint=127.0.0.1:1"], "must be an endpoint"),
            (["--master.endpoint=ftp://x:1"], "must be an endpoint"),
            (["--master.endpoint=https://x:1/path"], "must be an endpoint"),
            (["--master.endpoint=https://x:99999"], "must be an endpoint"),
            (["--master.endpoint=https://x:1", "--auth.password=p"],
             "--auth.password needs --auth.user"),
            (["--master.endpoint=https://x:1", "--auth.user=a:b"], "colon"),
            (["--master.endpoint=https://x:1", "--master.cacert="],
             "Missing filename for option --master.cacert"),
            (["--master.endpoint=https://x:1", "--auth.keyfile="],
             "Missing filename for option --auth.keyfile"),
            (["--master.endpoint=https://x:1", "--auth.jwt-secret="],
             "Missing filename for option --auth.jwt-secret"),
            (["--master.endpoint=https://x:1", "--verbose=yes"],
             "must be true or false"),
            (["--master.endpoint=https://x:1", "extra"],
             "unexpected argument")):
        r = s.run("get", "status", *flags)
        assert r.code == 2 and words in r.err, (flags, r)
    e = "--master.endpoint=https://127.0.0.1:1"
    full = ["--source.endpoint=https://s:1", "--source.cacert=tls-ca.crt",
            "--master.keyfile=client-auth.keyfile", e]
    for i in range(len(full)):
        r = s.run("configure", "sync", *(full[:i] + full[i + 1:]))
        assert r.code == 2 and full[i].split("=")[0] in r.err, r
    for args, words in (
            (["stop", "sync", "--timeout=5"], "must be a duration"),
            (["stop", "sync", "--ensure-in-sync=maybe"], "true or false"),
            (["stop", "sync", "--ensure-in-sync", "false"],
             "unexpected argument"),
            (["stop", "sync", "--source-server-mode=off"],
             "must be default or readonly"),
            (["abort", "sync", "--timeout=0s"], "must be between"),
            (["abort", "outgoing", "sync", "T1"], "unexpected argument"),
            (["check", "sync", "--shard=0"], "--shard needs --collection"),
            (["check", "sync", "--collection=c"],
             "--collection needs --database"),
            (["check", "sync", "--parallel=0"], "must be between"),
            (["reset", "failed", "shard", "--database=d"], "--collection"),
            (["reset", "failed", "shard", "--collection=d"], "--database"),
            (["reset", "failed", "shard", "--database=d", "--collection="],
             "is empty"),
            (["reset", "failed", "shard", "--database=d", "--collection=c",
              "--shard=-1"], "must be between"),
            (["set", "message", "timeout"], "expected DURATION"),
            (["set", "message", "timeout", "3"], "is not a duration"),
            (["set", "message", "timeout", "0"], "is not a duration"),
            (["set", "message", "timeout", "-3h"], "is not a duration"),
            (["set", "message", "timeout", "1h", "2h"],
             "unexpected argument")):
        r = s.run(*args, e)
        assert r.code == 2 and words in r.err, (args, r)


def redirects(s):
    with s.master() as a, s.master({"GET /_api/masters": {},
                                    "PUT /_api/message-timeout": {}}) as b:
        def send_to(where, status=307):
            a.routes.clear()
            for q in ("GET /_api/masters", "PUT /_api/message-timeout"):
                path = q.split()[1]
                a.routes[q] = Answer(status, b"", {"location": where + path
                                                   if where else ""})
        for status in (301, 302, 303, 307, 308):
            send_to(b.url, status)
            s.ok(a, "get", "masters")
        # Method and body stay.
        send_to(b.url)
        s.ok(a, "set", "message", "timeout", "3h")
        assert b.log[-1].method == "PUT" and \
            b.log[-1].json == {"messageTimeout": 3 * 3600 * 10**9}
        # Relative.
        a.routes = {"GET /_api/masters": Answer(302, b"", {
            "location": "/_api/elsewhere"}), "GET /_api/elsewhere": {}}
        s.ok(a, "get", "masters")
        # Round and round.
        a.routes = {"GET /_api/masters": Answer(302, b"", {
            "location": "/_api/masters"})}
        s.bad(1, "is redirected too often", a, "get", "masters")
        # Credentials go to those whom one knows.
        send_to(b.url)
        n = len(b.log)
        r = s.ask(a, "get", "masters", "--auth.user=u", verify=False)
        assert r.code == 1 and "to send credentials there" in r.err, r
        assert len(b.log) == n
        r = s.ask(a, "get", "masters", "--auth.user=u")
        assert r.code == 0 and "authorization" in b.log[-1].headers, r
        r = s.ask([a, b], "get", "masters", "--auth.user=u", verify=False)
        assert r.code == 0, r
        # Not out of TLS, and nowhere strange.
        for where, words in (("http://127.0.0.1:1", "is not encrypted"),
                             ("file:///etc", "which is no URL"),
                             ("//x", "which is no URL")):
            send_to(where)
            s.bad(1, words, a, "get", "masters")


def garbage(s):
    with s.master() as m:
        for body in (b"", b"no json", b"<html>", b"[]", b"null", b"1", b"{",
                     b'{"a":1}x', b'\xff\xfe', b'{"a":"\xff"}', b"[" * 5000,
                     b'{"masters":"' + b"x" * 5000):
            m.routes["GET /_api/masters"] = Answer(200, body)
            s.bad(1, "something else than a JSON object", m, "get", "masters")
        m.routes["GET /_api/masters"] = Answer(200, {"masters": []}, cut=3)
        s.bad(1, m.url, m, "get", "masters")
        # What a terminal would take for a command.
        m.routes["GET /_api/masters"] = Answer(
            400, {"Error": "\x1b]0;evil\x07 \x9b31m"})
        r = s.bad(1, "?]0;evil?", m, "get", "masters")
        assert "\x1b" not in r.err and "\x9b" not in r.err
        m.routes["GET /_api/masters"] = {"masters": [
            {"id": "\x1b[31mx", "endpoint": "a\nb"}]}
        out = s.ok(m, "get", "masters")
        assert "?[31mx" in out and "a?b" in out and "\x1b" not in out
        # Errors in other shapes.
        for body, words in ((b"", "Status 400"), (b"oops", "Status 400"),
                            (b'{"error":"lower"}', "lower (status 400"),
                            (b'{"error":true,"errorMessage":"arangod"}',
                             "arangod (status 400"),
                            (b'{"Error":7}', "Status 400"),
                            (b'["x"]', "Status 400")):
            m.routes["GET /_api/masters"] = Answer(400, body)
            s.bad(1, words, m, "get", "masters")
        for bad in ({"status": 7}, {"shards": 7}, {"shards": [7]},
                    {"shards": [{"database": "d"}]}, {"source": "x"},
                    {"source": [7]}, {"outgoing": {}}, {"outgoing": [7]},
                    {"outgoing": [{"endpoint": [1]}]}, {"shardsCount": -1},
                    {"shards": [{**shard("d", "c"), "delay": "x"}]},
                    {"shards": [{**shard("d", "c"), "shardIndex": -1}]}):
            m.routes["GET /_api/sync"] = bad
            s.bad(1, "cannot get the status: the answer of the master is "
                  "wrong: ", m, "get", "status")


# --- waiting ----------------------------------------------------------------

def start(s, m, *words):
    return subprocess.Popen(
        [PROGRAM, *words, f"--master.endpoint={m.url}",
         "--master.cacert=tls-ca.crt"], cwd=s.dir, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def slow(s):
    """Who waits is told so, and ^C is obeyed at once."""
    with s.master({"GET /_api/masters": Answer(200, {}, delay=14)}) as m:
        patient = start(s, m, "get", "masters")
        p = start(s, m, "get", "masters")
        wait_for(lambda: len(m.log) == 2, "both asked")
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=5)
        assert p.returncode == 1 and "interrupted" in err, err
        out, err = patient.communicate(timeout=30)
        assert patient.returncode == 0, err
        assert err == "waiting for an answer\n", err


# --- configure --------------------------------------------------------------

CONFIGURE = ["configure", "sync", "--source.endpoint=https://s1:8629",
             "--source.endpoint=https://s2:8629",
             "--source.cacert=tls-ca.crt",
             "--master.keyfile=client-auth.keyfile"]


def configure(s):
    with s.master({"POST /_api/sync": Answer(200)}) as m:
        for _ in range(2):
            assert s.ok(m, *CONFIGURE) == "Synchronization activated.\n"
        q = m.log[0].json
        assert q == m.log[1].json
        assert q["source"] == ["https://s1:8629", "https://s2:8629"]
        a = q["authentication"]
        assert set(a) == {"clientCertificate", "clientKey", "clientToken",
                          "caCertificate"}
        assert a["caCertificate"] == s.read("tls-ca.crt").decode()
        assert a["clientCertificate"] + a["clientKey"].rstrip() == \
            s.read("client-auth.keyfile").decode()
        assert a["clientToken"] == ""
        assert m.log[0].headers["content-type"] == "application/json"
        # Files are looked at before anybody is asked.
        s.write("junk", "junk")
        n = len(m.log)
        for flag, words in (("--source.cacert=junk", "No certificates found"),
                            ("--master.keyfile=junk", "No certificates found"),
                            ("--master.keyfile=tls-ca.crt",
                             "No private key found"),
                            ("--master.keyfile=none", "Failed to read")):
            s.bad(1, "cannot configure synchronization: " + words, m,
                  *CONFIGURE, flag)
        assert len(m.log) == n
        m.routes["POST /_api/sync"] = Answer(412, {
            "Error": "already synchronizing from another source"})
        s.bad(1, "already synchronizing from another source (status 412", m,
              *CONFIGURE)


# --- stop and abort ---------------------------------------------------------

class Target:
    """What the master of a target does, in short."""

    def __init__(self, status="running", polls=2):
        self.status, self.barrier, self.polls = status, False, polls
        self.barrier_answers = []       # used before real ones
        self.in_sync_after = 2          # polls of the barrier
        self.never_in_sync = False
        self.cancel_answers = []
        self.aborted = False

    def routes(self):
        return {"GET /_api/sync": self.get, "DELETE /_api/sync": self.cancel,
                "POST /_api/sync/barrier": self.make,
                "GET /_api/sync/barrier": self.look,
                "DELETE /_api/sync/barrier": self.drop}

    def get(self, q):
        if self.status == "cancelling":
            self.polls -= 1
            if self.polls < 0:
                self.status = "inactive"
        if self.status == "inactive":
            return info("inactive", source=(),
                        **({"cancellationAborted": True}
                           if self.aborted else {}))
        return info(self.status, shardsCount=4)

    def make(self, q):
        if self.barrier_answers:
            return self.barrier_answers.pop(0)
        if self.status != "running":
            return Answer(412, {"Error": "not running"})
        self.barrier = True
        return Answer(200)

    def look(self, q):
        self.in_sync_after -= 1
        n = 4 if self.in_sync_after < 0 and not self.never_in_sync else 1
        o = {"in_sync_shards": n, "SourceServerReadonly": self.barrier}
        if n < 4:
            o["not_in_sync_shards"] = 4 - n
        return o

    def drop(self, q):
        self.barrier = False
        return Answer(200)

    def cancel(self, q):
        if self.cancel_answers:
            return self.cancel_answers.pop(0)
        self.status, self.barrier = "cancelling", False
        return {"cancelling": True}


def stop(s):
    t = Target()
    with s.master(t.routes()) as m:
        out = s.ok(m, "stop", "sync")
        assert out == "Synchronization stopped.\n"
        asked = [x for x in m.asked() if "GET /_api/sync?" not in x]
        assert asked == ["POST /_api/sync/barrier"] + \
            ["GET /_api/sync/barrier"] * 3 + ["DELETE /_api/sync"], asked
        assert m.asked()[-1] == "GET /_api/sync?details=short"
        assert [q.json for q in m.log if q.method == "DELETE"] == [{}]
        assert t.status == "inactive"
        # -v tells of the requests.
        t.status, t.polls, t.in_sync_after = "running", 1, 0
        r = s.ask(m, "stop", "sync", "-v")
        assert r.code == 0 and re.search(
            r"^POST https://\S+/_api/sync/barrier: status 200, 0 bytes$",
            r.err, re.M), r
        # It is stopped; that is no failure.
        n = len(m.log)
        assert "inactive already" in s.ok(m, "stop", "sync")
        assert m.asked()[n:] == ["GET /_api/sync?details=short"]


def stop_at_once(s):
    t = Target("initial-sync")
    with s.master(t.routes()) as m:
        s.ok(m, "stop", "sync", "--ensure-in-sync=false",
             "--source-server-mode=readonly", "--target-server-mode=default")
        assert [q.json for q in m.log if q.method == "DELETE"] == [
            {"source_server_mode": "readonly",
             "target_server_mode": "default"}]
        assert "POST /_api/sync/barrier" not in m.asked()
    # Somebody else cancels it already.
    t = Target("cancelling", polls=4)
    with s.master(t.routes()) as m:
        s.ok(m, "stop", "sync")
        assert m.asked("DELETE") == [] and m.asked("POST") == []


def stop_troubles(s):
    # Not running yet; the leader changes; answers get lost.
    t = Target()
    t.barrier_answers = [Answer(412, {"Error": "not running"}), S503]
    t.cancel_answers = [S503]
    routes = t.routes()
    routes["GET /_api/sync"] = [S503, t.get]
    with s.master(routes) as m:
        s.ok(m, "stop", "sync")
        assert m.asked("POST") == ["POST /_api/sync/barrier"] * 3
        assert m.asked("DELETE") == ["DELETE /_api/sync"] * 2
    # Refused for good: the barrier does not stay.
    t = Target()
    t.cancel_answers = [Answer(403, {"Error": "no"})]
    with s.master(t.routes()) as m:
        r = s.bad(1, "cannot stop synchronization: no (status 403", m, "stop",
                  "sync")
        assert "the barrier was removed" in r.err and not t.barrier
        assert t.status == "running"


def stop_late(s):
    t = Target()
    t.never_in_sync = True
    with s.master(t.routes()) as m:
        r = s.bad(1, "cannot stop synchronization in time: 1 of 4 shards are "
                  "in sync", m, "stop", "sync", "--timeout=2s")
        assert "the barrier was removed; synchronization goes on" in r.err
        assert not t.barrier and t.status == "running"
        assert m.asked("DELETE") == ["DELETE /_api/sync/barrier"]
    t = Target("initial-sync")
    with s.master(t.routes()) as m:
        r = s.bad(1, "use --ensure-in-sync=false", m, "stop", "sync",
                  "--timeout=2s")
        assert m.asked("DELETE") == []
    t = Target(polls=1000)
    with s.master(t.routes()) as m:
        r = s.bad(1, "cannot stop synchronization in time: synchronization "
                  "is cancelling, 4 shards are left; the master goes on", m,
                  "stop", "sync", "--timeout=3s")


def stop_interrupted(s):
    t = Target()
    t.never_in_sync = True
    for signo in (signal.SIGINT, signal.SIGTERM):
        with s.master(t.routes()) as m:
            p = start(s, m, "stop", "sync")
            wait_for(lambda: "GET /_api/sync/barrier" in m.asked(), "barrier")
            assert t.barrier
            p.send_signal(signo)
            out, err = p.communicate(timeout=20)
            assert p.returncode == 1 and "interrupted" in err, err
            assert "the barrier was removed" in err and not t.barrier, err


def abort(s):
    t = Target()
    with s.master(t.routes()) as m:
        out = s.ok(m, "abort", "sync", "--timeout=5m")
        assert out == "Synchronization aborted.\n"
        asked = [q.json for q in m.log if q.method == "DELETE"]
        assert len(asked) == 1 and asked[0]["force"] is True, asked
        # shortly before the end, the target goes on alone
        assert 295 <= asked[0]["force_timeout"] / 10**9 < 300, asked
        assert "inactive already" in s.ok(m, "abort", "sync")
    t = Target("failed")
    t.aborted = True
    with s.master(t.routes()) as m:
        out = s.ok(m, "abort", "sync")
        assert "The source was not told. Use \"arangosync abort outgoing " \
            "sync\"" in out, out
        assert 115 <= m.log[1].json["force_timeout"] / 10**9 < 120
    t = Target()
    t.cancel_answers = [Answer(403, {"Error": "no"})]
    with s.master(t.routes()) as m:
        s.bad(1, "cannot abort synchronization: no", m, "abort", "sync")


def abort_outgoing(s):
    state = {"ids": ["T1"]}

    def get(q):
        return info("", outgoing=[target(x, "running") for x in state["ids"]],
                    source=())

    def drop(q):
        state["ids"].remove(q.path.rsplit("/", 1)[1])
        return Answer(200)

    routes = {"GET /_api/sync": get, "DELETE /_api/sync/outgoing/T1": drop,
              "DELETE /_api/sync/outgoing/T2": drop}
    with s.master(routes) as m:
        out = s.ok(m, "abort", "outgoing", "sync")
        assert out == "Outgoing synchronization to T1 aborted.\n", out
        assert "There is no outgoing" in s.ok(m, "abort", "outgoing", "sync")
        state["ids"] = ["T1", "T2"]
        s.bad(1, "there are several targets, name one with --target: T1, T2",
              m, "abort", "outgoing", "sync")
        s.bad(1, "there is no target T3, only: T1, T2", m, "abort",
              "outgoing", "sync", "--target=T3")
        assert m.asked("DELETE") == ["DELETE /_api/sync/outgoing/T1"]
        s.ok(m, "abort", "outgoing", "sync", "--target=T2")
        assert state["ids"] == ["T1"]
        m.routes["DELETE /_api/sync/outgoing/T1"] = Answer(200)
        s.bad(1, "in time: it is running", m, "abort", "outgoing", "sync",
              "--timeout=1s")


# --- check ------------------------------------------------------------------

def center(id, **databases):
    """database={collection: number of shards}"""
    return {"id": id, "databases": {
        d: {"database_id": d, "collections": {
            c: {"collection_id": c, "shards": {
                str(i): {"ID": f"s{i}"} for i in range(n)}}
            for c, n in cs.items()}} for d, cs in databases.items()}}


class Check:
    def __init__(self, centers, shards, different=(), delay=0):
        self.centers, self.shards = centers, shards
        self.different, self.delay = set(different), delay
        self.special = {}

    def routes(self):
        r = {"GET /_api/sync/shards": {"datacenters": self.centers},
             "GET /_api/sync": info("running", [shard(*x)
                                                for x in self.shards])}
        for d, c, i in self.shards:
            path = f"/_api/sync/database/{d}/collection/{c}/shard/{i}/checksum"
            r["GET " + path] = self.special.get(
                (d, c, i), self.answer(d, c, i))
        return r

    def answer(self, d, c, i):
        other = "2" if (d, c, i) in self.different else "1"
        sums = [{"checksum": "1"}, {"checksum": other}]
        return Answer(200, {"databases": {d: {"collections": {c: {"shards": {
            str(i): sums}}}}}}, delay=self.delay)


def rows(r):
    return [x.split() for x in r.out.splitlines()]


SAME = {"_system": {"_users": 1}, "shop": {"orders": 3}}
SHARDS = [("_system", "_users", 0)] + [("shop", "orders", i) for i in range(3)]


def check_same(s):
    k = Check([center("A", **SAME), center("B", **SAME)], SHARDS, delay=0.2)
    with s.master(k.routes()) as m:
        out = s.ok(m, "check", "sync")
        assert "The whole data is the same" in out, out
        assert m.most_active > 1, "one after the other"
        body = [q for q in m.log if "checksum" in q.path][0]
        assert body.json == {"timeout": 600 * 10**9}, body.body
        m.most_active = 0
        s.ok(m, "check", "sync", "--parallel=1", "--timeout=5s")
        assert m.most_active == 1
        assert m.log[-1].json == {"timeout": 5 * 10**9}
        out = s.ok(m, "check", "sync", "-v")
        assert ["shop", "orders", "2", "same", "1", "1"] in \
            [x.split() for x in out.splitlines()], out
        o = json.loads(s.ok(m, "check", "sync", "--json"))
        assert o == {"same": True, "compared": 4, "differences": []}, o
        out = s.ok(m, "check", "sync", "--database=shop",
                   "--collection=orders", "--shard=1")
        assert "The chosen data is the same (1 shard compared)" in out, out


def check_different(s):
    k = Check([center("A", **SAME), center("B", **SAME)], SHARDS,
              [("_system", "_users", 0), ("shop", "orders", 1)])
    with s.master(k.routes()) as m:
        r = s.ask(m, "check", "sync")
        assert r.code == 3 and r.err == "", r
        assert rows(r)[0] == ["Database", "Collection", "Shard", "Status",
                              "Message"], r
        assert re.search(".*_system.*_users.*DIFFERENT.*", r.out), r
        assert len(rows(r)) == 3 and "whole data" not in r.out, r
        r = s.ask(m, "check", "sync", "--json")
        assert r.code == 3 and not json.loads(r.out)["same"]
        assert [x["status"] for x in json.loads(r.out)["differences"]] == \
            ["DIFFERENT"] * 2
        # A filter leaves the others out.
        s.ok(m, "check", "sync", "--database=shop", "--collection=orders",
             "--shard=0")


def check_lists(s):
    one = center("A", shop={"orders": 2, "onlya": 1, "size": 2}, gone={"x": 1},
                 empty={})
    two = center("B", shop={"orders": 2, "onlyb": 1, "size": 3}, new={"y": 1})
    k = Check([one, two], [("shop", "orders", 0)])
    with s.master(k.routes()) as m:
        r = s.ask(m, "check", "sync")
        assert r.code == 3, r
        for words in (
                "Shard is not turned on for synchronizing",
                "collection onlya in database shop does not exist in the B "
                "data center",
                "collection onlyb in database shop does not exist in the A "
                "data center",
                "collection size has different number of shards",
                "database gone does not exist in the B data center",
                "database new does not exist in the A data center"):
            assert r.out.count(words) == 1, (words, r)
        assert "empty" not in r.out and len(rows(r)) == 7, r
        assert len([q for q in m.log if "checksum" in q.path]) == 1
    # A third datacenter repeats nothing.
    k = Check([one, two, {**two, "id": "C"}], [("shop", "orders", 0)])
    with s.master(k.routes()) as m:
        assert len(rows(s.ask(m, "check", "sync"))) == 7


def check_errors(s):
    two = [center("A", **SAME), center("B", **SAME)]
    k = Check(two, SHARDS)
    k.special[("shop", "orders", 1)] = Answer(400, {"Error": "no such shard"})
    k.special[("shop", "orders", 2)] = {"databases": {}}
    with s.master(k.routes()) as m:
        r = s.ask(m, "check", "sync")
        assert r.code == 1 and "no such shard" in r.out, r
        assert "the master gave no checksums" in r.out, r
        assert "whole data" not in r.out
    # What differs is worse than what is not known.
    k.different.add(("shop", "orders", 0))
    with s.master(k.routes()) as m:
        assert s.ask(m, "check", "sync").code == 3
    # A leader that changes is asked again.
    k = Check(two, SHARDS)
    k.special[SHARDS[0]] = [S503, k.answer(*SHARDS[0])]
    with s.master(k.routes()) as m:
        s.ok(m, "check", "sync")
    with s.master({"GET /_api/sync/shards": S503}) as m:
        s.bad(1, "temporary failure with http status code: 503: service "
              "unavailable", m, "check", "sync")
    for centers, words in (
            ([], "knows 0 data centers"), (two[:1], "knows 1 data centers"),
            ([{"id": "A"}, {"id": "B"}], "none of the 2"),
            (7, "datacenters is not an array")):
        with s.master(Check(centers, SHARDS).routes()) as m:
            s.bad(1, words, m, "check", "sync")
    with s.master(Check(two, SHARDS).routes()) as m:
        s.bad(1, "there is nothing to compare", m, "check", "sync",
              "--database=none")
    bad = [dict(x) for x in two]
    bad[1]["databases"] = {**bad[1]["databases"],
                           "shop": {"error": "cannot read it"}}
    with s.master(Check(bad, SHARDS).routes()) as m:
        r = s.ask(m, "check", "sync")
        assert r.code == 1 and "cannot read it" in r.out, r


# --- small ones -------------------------------------------------------------

def message_timeout(s):
    state = {"messageTimeout": 3600 * 10**9}

    def put(q):
        state.update(q.json)
        return Answer(200)

    with s.master({"GET /_api/message-timeout": lambda q: dict(state),
                   "PUT /_api/message-timeout": put}) as m:
        assert s.ok(m, "get", "message", "timeout") == "1h0m0s\n"
        assert s.ok(m, "set", "message", "timeout", "3h") == \
            "Message timeout set to 3h0m0s.\n"
        assert state["messageTimeout"] == 3 * 3600 * 10**9
        s.ok(m, "set", "message", "timeout", "1.5s")
        assert state["messageTimeout"] == 1500000000
        assert json.loads(s.ok(m, "get", "message", "timeout", "--json")) == \
            state
        m.routes["GET /_api/message-timeout"] = {}
        s.bad(1, "messageTimeout is missing", m, "get", "message", "timeout")


def reset(s):
    base = "PUT /_api/sync/database/"
    with s.master({base + "_system/collection/_users/shard/0/reset":
                   Answer(200)}) as m:
        out = s.ok(m, "reset", "failed", "shard", "--database", "_system",
                   "--collection", "_users")
        assert "Shard 0 of _users in database _system" in out, out
        s.ask(m, "reset", "failed", "shard", "--database", "a/b ä",
              "--collection", "..%", "--shard=7")
        assert m.asked()[-1] == base + \
            "a%2Fb%20%C3%A4/collection/..%25/shard/7/reset", m.asked()
        s.bad(1, "cannot reset the shard: not found", m, "reset", "failed",
              "shard", "--database=x", "--collection=y")


TESTS = [
    ("get status: first line, directions, -v, --json", status),
    ("get status: the first line says what is wrong and what to do",
     headlines),
    ("get tasks, masters, workers: tables", lists),
    ("get version: of every server named", versions),
    ("remote: credentials and the header that lets a master forward",
     credentials),
    ("remote: certificates and files that do not fit", certificates),
    ("remote: the next endpoint after 408, 5xx and no answer", endpoints),
    ("remote: wrong flags are exit code 2", wrong_flags),
    ("remote: redirects are followed, credentials are kept from strangers",
     redirects),
    ("remote: garbage is told, and harmless to terminals", garbage),
    ("remote: who waits is told; ^C ends it", slow),
    ("configure sync: the request, and files looked at before", configure),
    ("stop sync: barrier, in sync, cancel, inactive", stop),
    ("stop sync: without a barrier", stop_at_once),
    ("stop sync: goes through leader changes", stop_troubles),
    ("stop sync: out of time, the barrier is removed", stop_late),
    ("stop sync: interrupted, the barrier is removed", stop_interrupted),
    ("abort sync: forced, and what is left to do", abort),
    ("abort outgoing sync: the one, or the one named", abort_outgoing),
    ("check sync: the same", check_same),
    ("check sync: different is exit code 3", check_different),
    ("check sync: differences that the lists show", check_lists),
    ("check sync: errors are exit code 1", check_errors),
    ("set, get message timeout", message_timeout),
    ("reset failed shard: names in the path", reset),
]

only = sys.argv[1:]
chosen = [x for x in TESTS if not only or x[1].__name__ in only]
t = Tap(len(chosen))
# They mostly wait, so several run at a time.
with Stage() as stage, ThreadPoolExecutor(6) as pool:
    results = [pool.submit(fn, stage) for _, fn in chosen]
    for (name, _), result in zip(chosen, results):
        t.run(name, result.result)
t.finish()
