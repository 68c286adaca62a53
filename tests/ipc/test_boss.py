#!/usr/bin/env python3
# test_boss.py - supervisor and command line of the sandbox, with servers that
# do nothing (tests/ipc/fake_servers.c).  TAP on standard output.

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

BUILD = os.environ.get("top_builddir", ".")
PROG = os.path.abspath(os.path.join(BUILD, "tests/ipc/fake-sandbox"))
TMP = tempfile.mkdtemp(prefix="boss-")
DIR = os.path.join(TMP, "cluster")
SECONDS = 30


def run(*args, **kw):
    """Exit code, standard output, standard error."""
    p = subprocess.run([PROG, *args], capture_output=True, text=True,
                       timeout=90, **kw)
    return p.returncode, p.stdout, p.stderr


def cluster(d=None):
    with open(os.path.join(d or DIR, "cluster.json")) as f:
        return json.load(f)


def server(name, d=None):
    return [s for s in cluster(d)["servers"] if s["name"] == name][0]


def get(name, d=None):
    url = server(name, d)["endpoint"] + "/"
    with urllib.request.urlopen(url, timeout=5) as r:
        return json.load(r)


def refuses(name):
    port = int(server(name)["endpoint"].rsplit(":", 1)[1])
    with socket.socket() as s:
        s.settimeout(2)
        return s.connect_ex(("127.0.0.1", port)) != 0


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait(cond, what):
    end = time.time() + SECONDS
    while not cond():
        if time.time() > end:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.02)


def boss_pid(d=None):
    with open("/proc/%d/stat" % server("agent1", d)["pid"]) as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


def expect(got, code, words=""):
    assert got[0] == code, "exit %d, not %d: %s%s" % (got[0], code, got[1],
                                                      got[2])
    assert words in got[1] + got[2], "%r is not in: %s%s" % (words, got[1],
                                                             got[2])


def usage():
    """what the arguments alone show to be wrong ends with 2"""
    bad = [
        [], ["--port", "0"], ["--dir", DIR], ["--dir", DIR, "--port", "x"],
        ["--dir", DIR, "--port", "-1"], ["--dir", DIR, "--port", "65530"],
        ["--dir", DIR, "--port", "70000"],
        ["--dir", DIR, "--port", "0", "--coordinators", "11"],
        ["--dir", DIR, "--port", "0", "--dbservers", "0"],
        ["--dir", DIR, "--port", "0", "--edition", "cheap"],
        ["--dir", DIR, "--port", "0", "--arangodb-version", "2.8.1"],
        ["--dir", DIR, "--port", "0", "--arangodb-version", "3.11"],
        ["--dir", DIR, "--port", "0", "--merge-window", "-5"],
        ["--dir", DIR, "--port", "0", "--nonsense"],
        ["kill", "--dir", DIR], ["kill", "dbserver1"], ["frob"],
        ["kill", "--dir", DIR, "a", "b"],
        ["fault", "--dir", DIR, "dbserver1", "delay=x"],
        ["fault", "--dir", DIR, "dbserver1", "explode"],
        ["fault", "--dir", DIR, "dbserver1", "drop", "--path", "x"],
        ["move-shard", "--dir", DIR, "_system", "c", "x", "dbserver1"],
    ]
    for args in bad:
        got = run(*args)
        expect(got, 2)
        assert len(got[2]) > 10, args
    assert not os.path.exists(DIR)


def help_and_version():
    """--help and --version end with 0"""
    expect(run("--help"), 0, "--merge-window")
    expect(run("fault", "--help"), 0, "--count")
    expect(run("--version"), 0, "arangosync-sandbox")


def failed_starts():
    """a start that fails says why, ends with 1 and leaves nothing behind"""
    new = os.path.join(TMP, "a/b/c")
    expect(run("--dir", new, "--port", "0", "--auth", "/nonexistent"), 1,
           "/nonexistent")
    expect(run("--dir", new, "--port", "0", "--tls", "/etc/passwd"), 1,
           "/etc/passwd")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        expect(run("--dir", new, "--port", str(port - 10)), 1, "in use")
        expect(run("--dir", new, "--port", str(port - 10), "--daemon"), 1,
               "in use")
    expect(run("--dir", "/proc/x", "--port", "0"), 1, "/proc/x")
    expect(run("--dir", "/etc/passwd", "--port", "0"), 1,
           "a file is in the way")
    assert not os.path.exists(os.path.join(TMP, "a"))
    full = os.path.join(TMP, "full")
    os.mkdir(full)
    open(os.path.join(full, "letter"), "w").close()
    expect(run("--dir", full, "--port", "0"), 1, "not empty")
    assert os.listdir(full) == ["letter"]
    for cmd in ("stop", "status"):
        expect(run(cmd, "--dir", full), 1, "no cluster")
    expect(run("kill", "--dir", full, "dbserver1"), 1, "no cluster")


def daemon_start():
    """--daemon returns when the cluster serves"""
    expect(run("--dir", DIR, "--port", "0", "--daemon", "--coordinators",
               "2", "--root-password", "s3cret"), 0)
    c = cluster()
    assert c["version"] == "3.11.8" and len(c["clusterId"]) == 36
    names = [s["name"] for s in c["servers"]]
    assert sorted(names) == ["agent1", "coordinator1", "coordinator2",
                             "dbserver1", "dbserver2", "dbserver3"]
    for s in c["servers"]:
        assert s["state"] == "up" and alive(s["pid"])
        assert s["id"][:5] == {"agent": "AGNT-", "coordinator": "CRDN-",
                               "dbserver": "PRMR-"}[s["role"]]
        with open(os.path.join(DIR, s["name"], "ID")) as f:
            assert f.read().strip() == s["id"]
    assert get("coordinator2")["password"] == "s3cret"
    assert get("dbserver1")["first"]
    assert "s3cret" not in open(os.path.join(DIR, "cluster.json")).read()


def statuses():
    """status is 0 when all are up, 1 otherwise, and prints JSON on demand"""
    expect(run("status", "--dir", DIR), 0, "dbserver3")
    got = run("status", "--json", "--dir", DIR)
    expect(got, 0)
    assert json.loads(got[1]) == cluster()


def one_supervisor():
    """two supervisors cannot share a directory"""
    expect(run("--dir", DIR, "--port", "0"), 1, "runs already")
    expect(run("status", "--dir", DIR), 0)


def titles():
    """children have titles, the supervisor keeps its arguments"""
    pid = server("dbserver2")["pid"]
    with open("/proc/%d/cmdline" % pid) as f:
        assert f.read().rstrip("\0") == "fake-sandbox: dbserver2"
    with open("/proc/%d/cmdline" % boss_pid()) as f:
        assert "--root-password" in f.read()
    with open("/proc/%d/comm" % pid) as f:
        assert f.read().strip() == "fake-sandbox"


def descriptors():
    """a server has the descriptors of the contract and its own, no others"""
    base = "/proc/%d/fd" % server("dbserver1")["pid"]
    fds = {int(f): os.readlink(os.path.join(base, f))
           for f in os.listdir(base)}
    assert fds[0] == "/dev/null", fds
    assert fds[1] == fds[2] == os.path.join(DIR, "dbserver1/log"), fds
    assert fds[3].startswith("socket:"), fds
    assert fds[4] == os.path.join(DIR, "data.lock"), fds
    for n, name in fds.items():
        assert "control" not in name and "sandbox" not in name, fds
    assert len(fds) < 20, fds


def kill_and_start():
    """a killed server refuses, stays down, and comes back at the same port"""
    before = server("dbserver1")
    expect(run("kill", "--dir", DIR, "dbserver1"), 0)
    after = server("dbserver1")
    assert after["state"] == "down" and after["pid"] is None
    assert not alive(before["pid"]) and refuses("dbserver1")
    expect(run("kill", "--dir", DIR, "dbserver1"), 0)
    expect(run("pause", "--dir", DIR, "dbserver1"), 1, "down")
    expect(run("resume", "--dir", DIR, "dbserver1"), 1, "down")
    expect(run("prune-wal", "--dir", DIR, "dbserver1"), 1, "down")
    expect(run("status", "--dir", DIR), 1, "down")
    expect(run("start", "--dir", DIR, "dbserver1"), 0)
    again = server("dbserver1")
    assert again["state"] == "up" and again["pid"] != before["pid"]
    assert again["endpoint"] == before["endpoint"]
    assert again["id"] == before["id"]
    assert not get("dbserver1")["first"]
    expect(run("start", "--dir", DIR, "dbserver1"), 0)
    assert server("dbserver1") == again
    expect(run("kill", "--dir", DIR, "dbserver9"), 2, "dbserver9")
    expect(run("kill", "--dir", DIR, "x" * 5000), 2)


def ended_by_others():
    """a server that somebody else ends or stops is seen to be so"""
    os.kill(server("dbserver2")["pid"], signal.SIGKILL)
    wait(lambda: server("dbserver2")["state"] == "down", "down")
    os.kill(server("dbserver3")["pid"], signal.SIGSTOP)
    wait(lambda: server("dbserver3")["state"] == "paused", "paused")
    expect(run("start", "--dir", DIR, "dbserver3"), 1, "paused")
    expect(run("resume", "--dir", DIR, "dbserver3"), 0)
    expect(run("start", "--dir", DIR, "dbserver2"), 0)
    # SIGTERM is an orderly end
    os.kill(server("coordinator2")["pid"], signal.SIGTERM)
    wait(lambda: server("coordinator2")["state"] == "down", "down")
    expect(run("start", "--dir", DIR, "coordinator2"), 0)
    expect(run("status", "--dir", DIR), 0)


def pause_and_resume():
    """a paused server does not answer; resume waits until it does"""
    expect(run("pause", "--dir", DIR, "agent1"), 0)
    assert server("agent1")["state"] == "paused"
    expect(run("pause", "--dir", DIR, "agent1"), 0)
    expect(run("fault", "--dir", DIR, "agent1", "drop"), 1, "paused")
    expect(run("resume", "--dir", DIR, "agent1"), 0)
    expect(run("resume", "--dir", DIR, "agent1"), 0)
    assert get("agent1")["name"] == "agent1"
    expect(run("pause", "--dir", DIR, "dbserver1"), 0)
    expect(run("kill", "--dir", DIR, "dbserver1"), 0)
    expect(run("start", "--dir", DIR, "dbserver1"), 0)


def power_cut():
    """power-cut ends the server; without a store there is nothing to cut"""
    pid = server("coordinator1")["pid"]
    expect(run("power-cut", "--dir", DIR, "coordinator1"), 0)
    assert not alive(pid) and server("coordinator1")["state"] == "down"
    expect(run("power-cut", "--dir", DIR, "coordinator1"), 0)
    expect(run("start", "--dir", DIR, "coordinator1"), 0)


def faults_and_pruning():
    """faults and pruning reach the server and its answer comes back"""
    expect(run("fault", "--dir", DIR, "dbserver1", "delay=5", "--count",
               "3", "--path", "/_api/wal"), 0)
    assert get("dbserver1")["fault"] == 1
    expect(run("fault", "--dir", DIR, "dbserver1", "none"), 0)
    assert get("dbserver1")["fault"] == 0
    expect(run("prune-wal", "--dir", DIR, "dbserver1"), 0,
           "3 WAL files removed, 2 kept")
    expect(run("prune-wal", "--dir", DIR, "coordinator1"), 1, "no WAL")


def failing_server():
    """a server that cannot start says why to whoever asked for it"""
    flag = os.path.join(DIR, "dbserver1", "fail-start")
    expect(run("kill", "--dir", DIR, "dbserver1"), 0)
    open(flag, "w").close()
    expect(run("start", "--dir", DIR, "dbserver1"), 1, "the moon")
    assert server("dbserver1")["state"] == "down"
    os.unlink(flag)
    expect(run("start", "--dir", DIR, "dbserver1"), 0)


def garbage():
    """whoever talks nonsense to the supervisor is hung up on, no more"""
    os.chdir(DIR)
    for data in (b"\xff" * 64, b"GET / HTTP/1.0\r\n\r\n", b"",
                 b"\4\0\0\0\0\3\0\0\0\0\0\0\1\0\0\0abcd"):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect("control.sock")
            s.sendall(data)
            if data == b"":
                continue
            assert s.recv(100) == b""
    os.chdir(TMP)
    expect(run("status", "--dir", DIR), 0)


def stop_all():
    """stop ends all, a paused server and a deaf one too"""
    pids = [s["pid"] for s in cluster()["servers"]] + [boss_pid()]
    open(os.path.join(DIR, "dbserver2", "ignore-stop"), "w").close()
    expect(run("kill", "--dir", DIR, "dbserver2"), 0)
    expect(run("start", "--dir", DIR, "dbserver2"), 0)
    os.unlink(os.path.join(DIR, "dbserver2", "ignore-stop"))
    pids.append(server("dbserver2")["pid"])
    expect(run("pause", "--dir", DIR, "dbserver3"), 0)
    expect(run("stop", "--dir", DIR), 0)
    for pid in pids:
        assert not alive(pid)
    assert not os.path.exists(os.path.join(DIR, "control.sock"))
    assert all(s["state"] == "down" and s["pid"] is None
               for s in cluster()["servers"])
    expect(run("stop", "--dir", DIR), 0)
    expect(run("status", "--dir", DIR), 1, "down")


def restart():
    """a cluster goes on with its ids, ports and settings"""
    old = cluster()
    expect(run("--dir", DIR, "--dbservers", "5"), 2, "has 3 dbservers, not 5")
    expect(run("--dir", DIR, "--daemon"), 0)
    new = cluster()
    for key in ("clusterId", "version"):
        assert old[key] == new[key]
    for a, b in zip(old["servers"], new["servers"]):
        for key in ("name", "id", "endpoint"):
            assert a[key] == b[key]
    assert get("coordinator1")["password"] == "s3cret"
    assert not get("coordinator1")["first"]
    expect(run("stop", "--dir", DIR), 0)


def killed_supervisor():
    """servers leave when the supervisor is killed; the next one waits"""
    expect(run("--dir", DIR, "--port", "0", "--daemon"), 0)
    expect(run("pause", "--dir", DIR, "dbserver1"), 0)
    pids = [s["pid"] for s in cluster()["servers"]]
    stopped = server("dbserver1")["pid"]
    os.kill(boss_pid(), signal.SIGKILL)
    wait(lambda: not any(alive(p) for p in pids if p != stopped),
         "servers to leave")
    expect(run("status", "--dir", DIR), 1)
    expect(run("stop", "--dir", DIR), 0)
    # The paused one cannot leave; the next supervisor sees to it.
    assert alive(stopped)
    expect(run("--dir", DIR, "--daemon"), 0)
    assert not alive(stopped)
    expect(run("status", "--dir", DIR), 0)
    expect(run("stop", "--dir", DIR), 0)


def foreground():
    """in the foreground SIGTERM ends it with 0, SIGHUP opens logs anew"""
    p = subprocess.Popen([PROG, "--dir", DIR, "--port", "0"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
    for _ in range(6):
        assert "http://127.0.0.1:" in p.stdout.readline()
    log = os.path.join(DIR, "dbserver1/log")
    os.rename(log, log + ".1")
    p.send_signal(signal.SIGHUP)
    wait(lambda: os.path.exists(log), "new log")
    p.send_signal(signal.SIGUSR1)
    p.send_signal(signal.SIGTERM)
    _, err = p.communicate(timeout=SECONDS)
    assert p.returncode == 0, err
    assert "process dbserver1: ready" in err, err


def failed_restart():
    """a start of an old cluster that fails leaves it as it was"""
    flag = os.path.join(DIR, "dbserver2", "fail-start")
    open(flag, "w").close()
    old = cluster()
    expect(run("--dir", DIR, "--daemon"), 1, "the moon")
    os.unlink(flag)
    assert cluster() == old
    assert os.path.exists(os.path.join(DIR, "dbserver2/ID"))
    expect(run("--dir", DIR, "--daemon"), 0)
    expect(run("stop", "--dir", DIR), 0)
    with open(os.path.join(DIR, "cluster.json"), "w") as f:
        f.write('{"version":')
    expect(run("--dir", DIR), 1, "damaged")


def long_path():
    """the directory's path may be longer than a socket's"""
    d = os.path.join(TMP, "x" * 100, "y" * 100)
    expect(run("--dir", d, "--port", "0", "--daemon", "--dbservers", "1"), 0)
    expect(run("status", "--dir", d), 0)
    expect(run("stop", "--dir", d), 0)


def lost_secret():
    """a server whose secret file went away is not started, for that reason"""
    d = os.path.join(TMP, "secret")
    secret = os.path.join(TMP, "jwt")
    with open(secret, "w") as f:
        f.write("shh")
    expect(run("--dir", d, "--port", "0", "--daemon", "--dbservers", "1",
               "--auth", secret), 0)
    expect(run("kill", "--dir", d, "dbserver1"), 0)
    os.rename(secret, secret + ".away")
    expect(run("start", "--dir", d, "dbserver1"), 1, secret)
    os.rename(secret + ".away", secret)
    expect(run("start", "--dir", d, "dbserver1"), 0)
    expect(run("stop", "--dir", d), 0)


def fixed_ports():
    """with P the ports are P.., P+10.. and P+20"""
    for p in range(21000, 32000, 37):
        d = os.path.join(TMP, "fixed")
        got = run("--dir", d, "--port", str(p), "--daemon",
                  "--coordinators", "2", "--dbservers", "2")
        if got[0] == 1 and "in use" in got[2]:
            continue
        expect(got, 0)
        ports = {s["name"]: s["endpoint"].rsplit(":", 1)[1]
                 for s in cluster(d)["servers"]}
        assert ports == {"agent1": str(p + 20), "coordinator1": str(p),
                         "coordinator2": str(p + 1),
                         "dbserver1": str(p + 10),
                         "dbserver2": str(p + 11)}
        other = os.path.join(TMP, "other")
        expect(run("--dir", other, "--port", str(p)), 1, "in use")
        assert not os.path.exists(other)
        expect(run("stop", "--dir", d), 0)
        return
    raise AssertionError("no free ports at all")


TESTS = [usage, help_and_version, failed_starts, daemon_start, statuses,
         one_supervisor, titles, descriptors, kill_and_start,
         ended_by_others, pause_and_resume, power_cut, faults_and_pruning,
         failing_server, garbage, stop_all, restart, killed_supervisor,
         foreground, failed_restart, long_path, lost_secret, fixed_ports]


def main():
    failed = 0
    print("1..%d" % len(TESTS))
    for i, test in enumerate(TESTS):
        try:
            test()
            print("ok %d - boss: %s" % (i + 1, test.__doc__))
        except Exception as e:
            failed += 1
            print("not ok %d - boss: %s" % (i + 1, test.__doc__))
            for line in repr(e).split("\\n"):
                print("# " + line)
        sys.stdout.flush()
    for d in (DIR, os.path.join(TMP, "fixed"), os.path.join(TMP, "secret"),
              os.path.join(TMP, "x" * 100, "y" * 100)):
        if os.path.exists(os.path.join(d, "control.sock")):
            run("stop", "--dir", d)
    shutil.rmtree(TMP, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
