#!/usr/bin/env python3
"""Full disks are a state.  The data directories of both masters are small file
systems of their own (a tmpfs in a mount namespace of this test, so nothing is
left behind whatever happens), which are filled to the last byte while the
source is written to, and while masters and their processes are killed and
started.  No process may be in a crash loop meanwhile; once there is room, all
goes on by itself and both sides become equal."""
import ctypes
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import Writer, fill, good, insert, make, make_database, sized
from sandbox import SLOW, Tap, wait_for

MIB = 1 << 20
WHERE = [("disk", "a"), ("disk", "b"), ("disk", "emptied")]
SOURCE_MIB, TARGET_MIB = 32, 4

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REMOUNT, MS_REC, MS_PRIVATE, MNT_DETACH = 32, 0x4000, 1 << 18, 2


# ---- small disks -------------------------------------------------------------------

def call(name, *args):
    if getattr(libc, name)(*args) != 0:
        e = ctypes.get_errno()
        raise OSError(e, f"{name}: {os.strerror(e)}")


def unmount(path):
    call("umount2", path.encode(), MNT_DETACH)


def mount(path, mib, flags=0):
    call("mount", b"arangosync-test", path.encode(), b"tmpfs",
         ctypes.c_ulong(flags), b"size=%dm" % mib)


def own_mounts():
    """A mount namespace; '' or why there is none."""
    uid, gid = os.getuid(), os.getgid()
    try:
        try:
            call("unshare", CLONE_NEWNS)
        except OSError:
            call("unshare", CLONE_NEWNS | CLONE_NEWUSER)
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"),
                               ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w") as f:
                    f.write(text)
        call("mount", b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE),
             None)
    except OSError as e:
        return str(e)
    return ""


class Full:
    """Keeps the file system of a directory full to the last page."""

    def __init__(self, m):
        self.m, self.done = m, threading.Event()
        self.path = os.path.join(m.data, "ballast")
        self.thread = threading.Thread(target=self.run, daemon=True)

    def take(self):
        taken = 0
        with open(self.path, "ab", 0) as f:
            for n in (MIB, 65536, 4096):
                try:
                    while f.write(b"x" * n) == n:
                        taken += n
                except OSError:
                    pass
        return taken

    def run(self):
        while not self.done.wait(0.02):
            self.take()

    def __enter__(self):
        self.take()
        self.thread.start()
        return self

    def end(self):
        if not self.done.is_set():
            self.done.set()
            self.thread.join()
            os.unlink(self.path)

    def __exit__(self, *a):
        self.end()


class Births:
    """How often which process was born: a process in a crash loop shows."""

    def __init__(self, *masters):
        self.masters, self.seen = masters, {}
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def look(self):
        for m in self.masters:
            if m.process is not None:
                for title, pid in m.children().items():
                    if not title.startswith("unnamed "):
                        self.seen.setdefault((m.name, title), set()).add(pid)

    def run(self):
        while not self.done.wait(0.15):
            try:
                self.look()
            except (OSError, AttributeError):
                pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *a):
        self.done.set()
        self.thread.join()

    def assert_calm(self, most=1):
        """Nobody was born more often than we have caused."""
        often = {k: len(v) for k, v in self.seen.items() if len(v) > most}
        assert not often, often
        assert self.seen


class DiskPair(Pair):
    explained = False

    def explain(self):
        if not self.explained:
            super().explain()
        self.explained = True

    def __exit__(self, kind, value, tb):
        if kind is not None:
            self.explain()
        for m in (self.masters if self.ka is not None else ()):
            m.kill()
            try:
                unmount(m.data)     # a mount point cannot be removed
            except OSError:
                pass
        super().__exit__(kind, value, tb)

    def make_masters(self):
        super().make_masters()
        for m, mib in ((self.ma, SOURCE_MIB), (self.mb, TARGET_MIB)):
            os.mkdir(m.data)
            mount(m.data, mib)


# ---- what is looked at ---------------------------------------------------------------

def space(p, m):
    return p.try_status(m).get("x", {}).get("space", {})


def headline(p, m):
    r = p.command("get", "status", at=m)
    assert r.code == 0, r
    return r.out.splitlines()[0]


def says_full(p, m):
    wait_for(lambda: space(p, m).get("state") == "full", f"{m.name} says full", 15)
    line = headline(p, m)
    assert f"The disk of {m.data} is full" in line and "Make room" in line, line
    assert m.logged_line("is full"), "nothing in the log"


def says_enough(p, m):
    wait_for(lambda: space(p, m).get("state") == "enough",
             f"{m.name} says that there is room", 20)
    assert "The disk" not in headline(p, m)


def logged_line(m, text):
    with open(m.log, errors="replace") as f:
        return any(text in x for x in f)


def mark_arrives(p, what, seconds=30):
    key = f"mark-{re.sub('[^a-z]', '-', what)}-{time.monotonic_ns()}"
    good(p.a.post("/_db/disk/_api/document/b", {"_key": key}))
    path = f"/_db/disk/_api/document/b/{key}"
    wait_for(lambda: p.b.get(path).status == 200, f"{what}: a document comes", seconds)


def writes(w, n=40, seconds=30):
    before = w.taken
    wait_for(lambda: w.taken > before + n, "writes go on", seconds)


def under_load(p, seed):
    return Writer(p.a, WHERE, seed=seed, unique=("disk", "unique"),
                  truncate=[("disk", "emptied")])


def again(p, what, seconds=60):
    """There is room: all goes on by itself."""
    t = time.monotonic()
    mark_arrives(p, what, 30)
    print(f"# {what}: goes on after {time.monotonic() - t:.1f} s")
    p.wait_running(seconds)
    p.wait_equal(seconds)


# ---- tests ---------------------------------------------------------------------------

def begin(p):
    for m in p.masters:
        m.logged_line = lambda text, m=m: logged_line(m, text)
    make_database(p.a, "disk")
    make(p.a, "disk", "a", 3, 2)
    make(p.a, "disk", "b", 2, 1)
    make(p.a, "disk", "big", 2, 1)
    make(p.a, "disk", "emptied", 2, 1)
    make(p.a, "disk", "unique", 1, 1)
    good(p.a.post("/_db/disk/_api/index?collection=unique",
                  {"type": "persistent", "fields": ["u"], "unique": True}))
    fill(p.a, "disk", "a", 2000)
    p.configure()
    p.wait_running(45)
    p.wait_equal(20)
    for m in p.masters:
        assert space(p, m)["state"] == "enough", space(p, m)


def source_full_while_written(p):
    with under_load(p, 1) as w, Births(p.ma, p.mb) as births:
        writes(w)
        with Full(p.ma):
            says_full(p, p.ma)
            # a queue that begins on a full disk
            make(p.a, "disk", "early", 2, 1)
            fill(p.a, "disk", "early", 500)
            writes(w, 100)
            time.sleep(6)
        says_enough(p, p.ma)
        w.stop()
    births.assert_calm()
    again(p, "source full")


def killed_and_restarted(p, m, others, seed):
    """Processes and daemons come and go on a full disk."""
    with under_load(p, seed) as w:
        writes(w)
        with Full(m):
            says_full(p, m)
            with Births(p.ma, p.mb) as births:
                for title in others:
                    full = m.kill_child(title)
                    wait_for(lambda: full in m.children(), f"{full} is back", 20)
                writes(w, 20)
                time.sleep(4)
            births.assert_calm(2)
            for one in p.masters:
                code, took = one.stop()
                assert code == 0, code
                print(f"# {one.name} stopped in {took:.1f} s")
            writes(w, 20)
            for one in p.masters:
                one.start()
            for one in p.masters:
                one.wait_version(20)
                wait_for(one.leads, f"{one.name} leads", 40)
            says_full(p, m)
            with Births(p.ma, p.mb) as births:
                time.sleep(6)
            births.assert_calm()
            for one in p.masters:
                one.kill()
                one.start()
            for one in p.masters:
                one.wait_version(20)
                wait_for(one.leads, f"{one.name} leads", 60)
            with Births(p.ma, p.mb) as births:
                writes(w, 20)
                time.sleep(6)
            births.assert_calm()
        w.stop()
    again(p, f"{m.name} full, all restarted")


def source_full_all_restarted(p):
    killed_and_restarted(p, p.ma, ("send", "tail", "inventory", "api", "control"), 2)


def target_full_while_written(p):
    with under_load(p, 3) as w, Births(p.ma, p.mb) as births:
        writes(w)
        with Full(p.mb):
            says_full(p, p.mb)
            # a pair that begins on a full disk
            make(p.a, "disk", "later", 2, 1)
            fill(p.a, "disk", "later", 500)
            writes(w, 100)
            time.sleep(6)
            said = [s.get("status_message", "") for s in
                    p.try_status().get("shards", ())]
            assert any("No space left" in x and "make room" in x for x in said), said
        says_enough(p, p.mb)
        w.stop()
    births.assert_calm()
    again(p, "target full")


def target_full_all_restarted(p):
    killed_and_restarted(p, p.mb, ("receive", "link", "inventory", "api",
                                   "control"), 4)


def both_full_at_once(p):
    with under_load(p, 5) as w:
        with Full(p.ma), Full(p.mb):
            says_full(p, p.ma)
            says_full(p, p.mb)
            for m in p.masters:
                m.kill()
            writes(w, 20)
            for m in p.masters:
                m.start()
            for m in p.masters:
                wait_for(m.leads, f"{m.name} leads", 60)
            with Births(p.ma, p.mb) as births:
                time.sleep(5)
            births.assert_calm()
        w.stop()
    again(p, "both full")


def files_of_a_start(p):
    """A log file and a pid file on the full disk, too."""
    m = p.ma
    pid, log = os.path.join(m.data, "pid"), os.path.join(m.data, "log")
    assert m.stop()[0] == 0
    m.flags.update({"pid-file": [pid], "log.file": [log]})
    with Full(m), Births(m) as births:
        m.start()
        m.wait_version(20)
        wait_for(m.leads, "a leads", 60)
        time.sleep(4)
        assert not os.path.exists(pid), "there was room"
        births.assert_calm()
    wait_for(lambda: os.path.exists(pid), "the pid file comes", 10)
    with open(pid) as f:
        assert f.read() == str(m.pid)
    mark_arrives(p, "files of a start")

    def told():
        with open(log, errors="replace") as f:
            return "lines before this one could not be written" in f.read()
    wait_for(told, "the log tells of lost lines", 15)
    assert m.stop()[0] == 0
    assert not os.path.exists(pid)
    del m.flags["pid-file"], m.flags["log.file"]
    m.start()
    m.wait_version(20)
    again(p, "files of a start")


def first_start(p):
    """A master that cannot even begin says so and ends."""
    m = p.make_master(p.kb, "c", p.b)
    os.mkdir(m.data)
    mount(m.data, 1)
    with Full(m):
        m.start()
        assert m.process.wait(30) == 1
        with open(m.log) as f:
            last = f.read().splitlines()[-1]
        assert m.data in last and "No space left" in last, last
    m.start()
    m.wait_version(20)
    assert m.stop()[0] == 0
    unmount(m.data)
    p.kb.masters.remove(m)


def write_big(p, mib, prefix):
    http = p.a.connect(timeout=120)
    for i in range(mib):
        insert(p.a, "disk", "big", [sized(f"{prefix}{i}-{k}", 100000, i * 10 + k)
                                    for k in range(10)], http)
    http.close()


def filled_by_queues(p):
    """The target is away, and what waits for it is more than the disk has."""
    p.mb.kill()
    with Births(p.ma) as births:
        write_big(p, 50, "q")
        wait_for(lambda: space(p, p.ma).get("state") in ("short", "full"),
                 "the source says that space is short", 20)
        print(f"# {headline(p, p.ma)}")
        time.sleep(3)
    births.assert_calm()
    p.mb.start()
    p.mb.wait_version(20)
    # nobody makes room but the target, which takes what is queued
    again(p, "full of queues", 90)
    says_enough(p, p.ma)


def quota_of_all_queues(p):
    """--mq.quota: the same with a disk that has room."""
    mount(p.ma.data, 256, MS_REMOUNT)
    assert p.ma.stop()[0] == 0
    p.ma.flags["mq.quota"] = ["16MiB"]
    p.ma.start()
    p.ma.wait_version(20)
    p.wait_running(60)
    p.mb.kill()
    with Births(p.ma) as births:
        write_big(p, 50, "t")
        wait_for(lambda: "--mq.quota" in space(p, p.ma).get("message", ""),
                 "the source tells of the quota", 20)
        # It is looked at once a second: that much may be too much.
        before = space(p, p.ma)["queue_bytes"]
        write_big(p, 50, "u")
        time.sleep(4)
        s = space(p, p.ma)
        print(f"# {before} bytes, then {s}")
        assert s["state"] == "enough" and s["queues_stopped"] > 0, s
        # of two shards one may not have been stopped before
        assert s["queue_bytes"] < before + 30 * MIB, s
        assert "--mq.quota" in headline(p, p.ma)
        # who is small goes on
        fill(p.a, "disk", "a", 10, prefix="small")
    births.assert_calm()
    p.mb.start()
    p.mb.wait_version(20)
    again(p, "quota", 90)
    wait_for(lambda: "message" not in space(p, p.ma), "that is over", 20)


def stopped(p):
    p.check_sync()
    p.stop()
    p.assert_equal(1000)


TESTS = [begin, source_full_while_written, source_full_all_restarted,
         target_full_while_written, target_full_all_restarted,
         both_full_at_once, files_of_a_start, first_start, filled_by_queues,
         quota_of_all_queues, stopped]

why = own_mounts()
if why:
    t = Tap(len(TESTS) + 1)
    for fn in [*TESTS, None]:
        t.skip("disk: " + (fn.__name__.replace("_", " ") if fn else "no crash"),
               f"a tmpfs cannot be mounted here ({why})")
    t.finish()
run_all("disk", TESTS, DiskPair(), 420)
