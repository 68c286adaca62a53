#!/usr/bin/env python3
"""Every flag of every command, as --help lists them, without a value, empty, with
nonsense, far too long, negative, too large, and several times: one sentence, exit
2 for what the argument list alone shows and 1 for the rest, in seconds, and no
file is made."""
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cli_lib import Place
from sandbox import Tap

NOBODY = "https://127.0.0.1:1"
# Good ones, with which each command fails for want of a peer or a directory.
BASE = {
    "run master": {"cluster.endpoint": "http://127.0.0.1:1",
                   "server.endpoint": NOBODY, "server.keyfile": "tls.keyfile",
                   "server.port": "1", "data.dir": "/proc/arangosync-test/x"},
    "configure sync": {"source.endpoint": NOBODY, "source.cacert": "tls-ca.crt",
                       "master.keyfile": "client-auth.keyfile"},
    "stop sync": {"timeout": "1s"}, "abort sync": {"timeout": "1s"},
    "abort outgoing sync": {"timeout": "1s"},
    "reset failed shard": {"database": "d", "collection": "c"}}
ARGS = {"set message timeout": ["1h"], "queue list": ["queues"],
        "queue check": ["queues"], "queue dump": ["queues"]}
VALUES = {"empty": "", "nonsense": "\x01%s%n$HOME\\", "negative": "-5",
          "huge": "x" * 100000, "large": "9" * 24, "unicode": "\u00e4\u20ac\U0001f680"}
# Any text is good for these: what it means is asked elsewhere.
FREE = {"auth.user", "auth.password", "monitoring.token", "database", "collection",
        "target", "user"}
SWITCHES = {"verbose", "version", "json", "payload", "log.stderr", "debug.profile",
            "ensure-in-sync", "allow-mass-drop"}


class World:
    pass


w = World()


def commands(p):
    """Words -> flags, from the help."""
    out = p.good("--help").out
    words = re.findall(r"^  ([a-z][a-z -]*[a-z])(?: \[?[A-Z]|  |$)", out, re.M)
    return {c: re.findall(r"^ +(?:-\w, )?--([a-z][\w.-]*)", p.good(
        *c.split(), "--help").out, re.M) for c in words if c != "version"}


def run(command, flag, values):
    """The good flags, but for this one, which has these values (None: it stands
    alone)."""
    flags = {**BASE.get(command, {})}
    if "master.endpoint" in w.commands[command] and command != "run master":
        flags.update({"master.endpoint": NOBODY, "master.cacert": "tls-ca.crt"})
    flags.pop(flag, None)
    args = command.split() + [f"--{k}={v}" for k, v in flags.items()]
    args += ARGS.get(command, [])
    args += [f"--{flag}" if v is None else f"--{flag}={v}" for v in values]
    return w.p.run(*args, timeout=15)


def judge(command, flag, what, r, codes):
    assert r.code in codes, (command, flag, what, r)
    if r.code == 0:
        return
    lines = [x for x in r.err.splitlines() if not x.startswith(
        ("Try ", "arangosync: warning:", "GET ", "PUT ", "POST ", "DELETE "))]
    # an abort tells what it tries before it gives up
    assert lines and lines[-1].startswith("arangosync: "), (command, flag, what, r)
    assert r.code == 1 or len(lines) == 1, (command, flag, what, r)
    assert len(lines[-1]) < 1200, (command, flag, what, len(lines[-1]))
    assert r.out == "", (command, flag, what, r)


def each(values, codes):
    """values(flag) -> list, or None: not for this one."""
    jobs = [(c, f) for c, flags in w.commands.items() for f in dict.fromkeys(flags)
            if f not in ("help", "version") and values(f) is not None]

    def one(job):
        c, f = job
        judge(c, f, values(f)[:1], run(c, f, values(f)), codes)
    before = w.p.files()
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(one, jobs):
            pass
    assert w.p.files() == before, set(w.p.files()) ^ set(before)
    assert len(jobs) > 20, jobs


def makes_files(command, flag):
    """Any name is a good one for a file that is to be made."""
    return flag in ("data.dir", "pid-file", "log.file", "cert", "key", "keyfile",
                    "secret") and (command.startswith("create") or
                                   command == "run master")


def without_a_value():
    each(lambda f: None if f in SWITCHES else [None], (2,))


def empty():
    each(lambda f: None if f in FREE else [""], (1, 2))
    for flag in ("server.keyfile", "cluster.jwt-secret", "data.dir", "user",
                 "master.endpoint"):
        r = run("run master", flag, [""])
        judge("run master", flag, "empty", r, (2,))


def unusable():
    """No file has such a name, no number is that large, nothing is called so."""
    def values(text):
        return lambda f: None if any(makes_files(c, f) for c in w.commands) or \
            f in ("host", "email") else [text]
    for name in ("nonsense", "negative", "large", "unicode", "huge"):
        each(values(VALUES[name]), (1, 2))


def switches():
    for v in ("maybe", "2", "", "TRUE "):
        each(lambda f: [v] if f in SWITCHES else None, (2,))


def the_last_one_counts():
    """Of a scalar that is given several times, however wrong the others are."""
    r = w.p.run("create", "jwt-secret", "--length=16", "--length=17", "--secret=a",
                "--secret=twice")
    assert r.code == 0 and len(w.p.read("twice")) == 34, r
    os.unlink(w.p.path("twice"))
    r = run("run master", "server.port", ["7", "1"])
    assert r.code == 1 and "port 1" in r.err or "data directory" in r.err, r


def long_names_of_files():
    for command in w.commands:
        for flag in dict.fromkeys(w.commands[command]):
            if makes_files(command, flag):
                before = w.p.files()
                r = run(command, flag, [VALUES["huge"]])
                judge(command, flag, "huge", r, (1,))
                assert w.p.files() == before


TESTS = [without_a_value, empty, unusable, switches, the_last_one_counts,
         long_names_of_files]
t = Tap(len(TESTS))
with Place() as w.p:
    for words in ("tls ca", "tls keyfile", "client-auth ca", "client-auth keyfile"):
        w.p.good("create", *words.split())
    os.mkdir(w.p.path("queues"))
    w.commands = commands(w.p)
    for test in TESTS:
        t.run("flags: " + test.__name__.replace("_", " "), test)
t.finish()
