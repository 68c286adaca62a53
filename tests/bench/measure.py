"""What the benchmarks of whole daemons have in common: rows of the result, what
processes use, a client that does next to nothing."""
import http.client
import json
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))

DB = "bench"
GIB = float(2**30)


def result(name, value, unit, ratio_to=None, ratio=None):
    o = {"name": name, "value": round(value, 3), "unit": unit}
    if ratio_to is not None:
        o.update(ratio_to=ratio_to, ratio=round(ratio, 4))
    print(json.dumps(o), flush=True)


def note(text):
    print(text, file=sys.stderr, flush=True)


# ---- what processes use -------------------------------------------------------------

def cpu_of(pids):
    """CPU-seconds of these processes so far, user and system.  The scheduler
    counts nanoseconds, where times(2) has ticks of 10 ms."""
    total = 0
    for p in pids:
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/schedstat") as f:
                    total += int(f.read().split()[0])
        except (OSError, IndexError):
            pass
    return total / 1e9


def private_kib(pid):
    """Memory that nobody shares with it."""
    n = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            for line in f:
                if line.startswith("Private_"):
                    n += int(line.split()[1])
    except OSError:
        pass
    return n


def daemons(p):
    return p.ma.holders() | p.mb.holders()


def memory(p, when):
    """Of the processes of shards, and of each daemon as a whole."""
    send, receive = (list(m.find(t).values())
                     for m, t in ((p.ma, "send"), (p.mb, "receive")))
    if send and receive:
        s, r = ([private_kib(x) for x in v] for v in (send, receive))
        result(f"memory_{when}_send", sum(s) / len(s) / 1024, "MiB")
        result(f"memory_{when}_receive", sum(r) / len(r) / 1024, "MiB")
        result(f"memory_{when}_pair_max", (max(s) + max(r)) / 1024, "MiB")
    for m in p.masters:
        result(f"memory_{when}_daemon_{m.name}",
               sum(map(private_kib, m.holders())) / 1024, "MiB")


# ---- a client that does next to nothing -----------------------------------------------

class Raw:
    """One connection to a DB-server; bodies come and go as bytes."""

    def __init__(self, cluster, name="dbserver1"):
        e = cluster.server(name)["endpoint"]
        host, port = e.split("//")[1].split(":")
        self.c = http.client.HTTPConnection(host, int(port), timeout=120)
        self.head = {"authorization": cluster.token()}

    def ask(self, method, path, body=None):
        self.c.request(method, path, body, self.head)
        r = self.c.getresponse()
        return r, r.read()


def shards_of(cluster, name, db=DB):
    return list(cluster.shards(name, db))
