#!/usr/bin/env python3
"""A chain of three clusters, a -> b -> c, and the ring that nobody can make of
it: not when all are there, not when the one between is away, not when the
chain was made from its end."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/lib"))
from datacenters import Pair, run_all
from load import fill, good, make, make_database
from master_lib import Kit
from sandbox import Cluster, wait_for

DB = "chain"


class Chain(Pair):
    """c with its master mc beside a and b."""

    def __init__(self):
        super().__init__(dbservers=1)
        self.c = Cluster(1, 1, "secret-of-the-third")
        self.kc = None

    def __enter__(self):
        super().__enter__()
        try:
            self.c.launch()
            self.kc = Kit()
            self.mc = self.make_master(self.kc, "c", self.c)
            self.mc.start()
            self.masters.append(self.mc)
            self.mc.wait_version(20)
            wait_for(self.mc.leads, "c leads", 40)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, tb):
        if kind is not None:
            self.explain()
        if self.kc is not None:
            self.kc.__exit__(kind, value, tb)
        if os.path.exists(os.path.join(self.c.dir, "cluster.json")):
            self.c.__exit__(kind, value, tb)
        super().__exit__(None, None, None)

    def connect(self, source, target):
        kit = source.kit
        return self.command("configure", "sync", "--source.endpoint", source.url,
                            "--source.cacert", kit.path("tls-ca.crt"),
                            "--master.keyfile", kit.path("client.keyfile"),
                            at=target)


def runs(p, *masters):
    for m in masters:
        wait_for(lambda: p.try_status(m).get("status") == "running",
                 f"{m.name} runs", 45)


def same(p, key, value, *clusters):
    """The document is there, as written, with the _rev of a."""
    path = f"/_db/{DB}/_api/document/x/{key}"

    def arrived():
        want = p.a.get(path).json
        return all(c.get(path).json == want for c in clusters) and \
            want.get("value", 404) == value
    wait_for(arrived, f"{key} is {value} everywhere", 30)


def ring_is_refused(p):
    r = p.connect(p.mc, p.ma)
    assert r.code == 1 and "in a ring" in r.err, r
    print(f"# {r.err.strip()}")
    s = p.status(p.ma)
    assert s["status"] in ("", "inactive") and not s["source"], s
    assert not p.read_only(p.a)


def whole_chain(p):
    make_database(p.a, DB)
    make(p.a, DB, "x", 2, 1)
    fill(p.a, DB, "x", 300)
    for source, target in ((p.ma, p.mb), (p.mb, p.mc)):
        r = p.connect(source, target)
        assert r.code == 0, r
    runs(p, p.mb, p.mc)
    wait_for(lambda: DB in p.c.get("/_api/database").json["result"], "the database", 30)
    good(p.a.post(f"/_db/{DB}/_api/document/x", {"_key": "k", "value": 1}))
    same(p, "k", 1, p.b, p.c)
    good(p.a.patch(f"/_db/{DB}/_api/document/x/k", {"value": 2}))
    same(p, "k", 2, p.b, p.c)
    make(p.a, DB, "later", 1, 1)
    wait_for(lambda: p.c.get(f"/_db/{DB}/_api/collection/later").status == 200,
             "a new collection comes through", 40)
    a, c = (set(x.documents("x", DB)) for x in (p.a, p.c))
    assert a == c and len(a) == 301, (len(a), len(c))


def no_ring(p):
    ring_is_refused(p)
    r = p.connect(p.mb, p.ma)
    assert r.code == 1 and "is a target of this cluster" in r.err, r


def no_ring_while_one_is_away(p):
    """What c has heard of b is remembered."""
    p.mb.kill()
    ring_is_refused(p)
    p.mb.start()
    wait_for(p.mb.leads, "leads", 40)
    runs(p, p.mb, p.mc)


def stop_from_the_end(p):
    """A barrier of c leaves b as it was: read-only, as it is a target."""
    r = p.command("stop", "sync", at=p.mc, timeout=90)
    assert r.code == 0, r
    assert p.read_only(p.b) and not p.read_only(p.c) and not p.read_only(p.a)
    good(p.a.patch(f"/_db/{DB}/_api/document/x/k", {"value": 3}))
    same(p, "k", 3, p.b)
    r = p.command("stop", "sync", at=p.mb, timeout=90)
    assert r.code == 0, r
    assert not p.read_only(p.b)


def made_from_its_end(p):
    """c has asked b before b had a source: it asks again."""
    for source, target in ((p.mb, p.mc), (p.ma, p.mb)):
        r = p.connect(source, target)
        assert r.code == 0, r
    ring_is_refused(p)
    runs(p, p.mb, p.mc)
    good(p.a.patch(f"/_db/{DB}/_api/document/x/k", {"value": 4}))
    same(p, "k", 4, p.b, p.c)


run_all("chain", [whole_chain, no_ring, no_ring_while_one_is_away, stop_from_the_end,
                  made_from_its_end], Chain(), 240)
