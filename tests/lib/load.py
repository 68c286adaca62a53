"""What a source is filled with, and writers that keep it busy."""
import http.client
import random
import threading
import time

from sandbox import SLOW

CORNERS = [
    # Words of our own protocol, where they mean nothing.
    {"tick": "1", "type": 2001, "data": {"_key": "x", "tick": "7"}, "cuid": "c1/s1",
     "db": "_system", "tid": "0", "_rev2": "_a", "pregel": [2000, 2201]},
    {"data": "}\n{\"tick\":\"1\",\"type\":2300}\n", "n": "\\\" \\\\ \\u0000"},
    # Unicode, controls, escapes.
    {"u": "\u00e4\u20ac\U0001f680 \u0000 \u0001\u001f\u007f \u2028\u2029 \ufeff \u0301"},
    {"": "", " ": " ", "\u00e9": "e\u0301", "a/b": "/", "quote\"": "\\", "\t": "\n\r"},
    {"json in text": "{\"a\":[1,2,{\"b\":\"c\"}]}", "url": "https://x/?a=%20&b=+"},
    # Numbers: bounds of what a double counts exactly, fractions, zeros.
    {"i": [0, 1, -1, 2**31 - 1, -2**31, 2**32, 2**53 - 1, 2**53, -2**53],
     "d": [0.5, -0.25, 1e-7, 1.7976931348623157e308, 5e-324, 0.1, 1 / 3, 123456.789]},
    {"empty": [], "object": {}, "null": None, "t": True, "f": False,
     "mixed": [None, [], {}, "", 0, False, [[[]]]]},
    {"long name " + "n" * 500: 1, "many": {f"k{i}": i for i in range(300)}},
    {"array": list(range(2000)), "texts": ["x" * i for i in range(120)]},
    {"_x": 1, "_keys": 2, "$a": {"$b": 3}, "a.b": {"c.d": 4}, "__proto__": {"x": 5}},
]


def nested(depth):
    x = {"bottom": True}
    for i in range(depth):
        x = {"o": x} if i % 2 else [x]
    return x


def corners():
    docs = [dict(d, _key=f"corner{i}") for i, d in enumerate(CORNERS)]
    docs.append({"_key": "deep", "x": nested(60)})
    # every character that a key may have
    docs.append({"_key": "_-:.@()+,=;$!*'%", "what": "key"})
    docs.append({"_key": "k" * 254})
    docs.append({"_key": "1"})
    return docs


def sized(key, n, seed=1):
    """A document of about n bytes that does not compress to nothing."""
    r = random.Random(seed)
    chunk = "".join(r.choice("abcdefghijklmnopqrstuvwxyz0123456789 ")
                    for _ in range(min(n, 4096)))
    text = chunk * (n // max(len(chunk), 1) + 1)
    return {"_key": key, "t": text[:n]}


def good(r, *status):
    assert r.status in (status or (200, 201, 202)), r
    return r


def make_database(c, db):
    good(c.post("/_api/database", {"name": db}), 201)


def make(c, db, name, shards=1, factor=1, **more):
    good(c.post(f"/_db/{db}/_api/collection",
                {"name": name, "numberOfShards": shards,
                 "replicationFactor": factor, **more}), 200)


def insert(c, db, name, docs, http=None):
    """An array in one request; every document must be taken."""
    r = good((http or c).post(f"/_db/{db}/_api/document/{name}?silent=true", docs))
    assert "x-arango-error-codes" not in r.headers, r


def fill(c, db, name, n, size=100, prefix="d", at_once=1000, start=0):
    pad = "p" * max(0, size - 60)
    for lo in range(start, start + n, at_once):
        insert(c, db, name, [{"_key": f"{prefix}{i}", "n": i, "s": str(i * 7919),
                              "pad": pad} for i in range(lo, min(lo + at_once, start + n))])


def fill_edges(c, db, name, n, vertices, prefix="e"):
    for lo in range(0, n, 1000):
        insert(c, db, name, [{"_key": f"{prefix}{i}", "_from": f"{vertices}/d{i % 97}",
                              "_to": f"{vertices}/d{i * 31 % 101}", "w": i / 8}
                             for i in range(lo, min(lo + 1000, n))])


def transaction(c, db, collection, steps, commit=True, http=None):
    """steps(http, headers) within a stream transaction."""
    h = http or c
    r = good(h.post(f"/_db/{db}/_api/transaction/begin",
                    {"collections": {"write": collection}}))
    trx = r.json["result"]["id"]
    steps(h, {"x-arango-trx-id": trx})
    path = f"/_db/{db}/_api/transaction/{trx}"
    good(h.put(path) if commit else h.delete(path))


class Writer(threading.Thread):
    """Writes into collections of one database until stop() - inserts, replaces,
    updates, removes, truncates, transactions - and goes on when a request
    fails.  What was taken does not matter: the comparison of both sides is the
    judge.  where: [(db, collection)]; those named in truncate are emptied now
    and then; unique is a collection with one shard and a unique index on u."""

    def __init__(self, cluster, where, seed=1, pause=0.005, keys=600, truncate=(),
                 unique=None, size=120):
        super().__init__(daemon=True)
        self.c, self.where, self.pause = cluster, list(where), pause
        self.rng, self.keys, self.size = random.Random(seed), keys, size
        self.truncate, self.unique = list(truncate), unique
        self.ending = threading.Event()
        self.taken = self.failed = 0
        self.by_kind = {}
        self.last_ok = time.monotonic()
        self.trouble = None
        self.h = None

    def stop(self):
        """Returns how many requests were taken."""
        self.ending.set()
        self.join(150)
        assert not self.is_alive(), "the writer hangs"
        if self.trouble:
            raise self.trouble
        return self.taken

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.join(150)
        if kind is None and self.trouble:
            raise self.trouble

    def run(self):
        while not self.ending.is_set():
            try:
                if self.h is None:
                    self.h = self.c.connect(timeout=15 * SLOW)
                kind = self.step()
                self.taken += 1
                self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
                self.last_ok = time.monotonic()
            except (OSError, http.client.HTTPException, Refused):
                self.failed += 1
                if self.h is not None:
                    self.h.close()
                self.h = None
                self.ending.wait(0.1)
            except KeyError:
                self.h = None           # no such server just now
                self.ending.wait(0.1)
            except BaseException as e:
                self.trouble = e
                return
            self.ending.wait(self.pause)

    def ask(self, method, path, body=None, headers=None):
        r = self.h.request(method, path, body, headers=headers, retry=False)
        if r.status >= 500 or r.status in (403, 404, 408, 410, 412, 421):
            raise Refused(repr(r))
        if r.status >= 300 and r.status not in (304, 400, 409):
            raise AssertionError(f"{method} {path}: {r}")
        return r

    def docs(self, n, **more):
        return [{"_key": f"k{self.rng.randrange(self.keys)}",
                 "v": self.rng.randrange(10**9), **more,
                 "pad": "x" * self.rng.randrange(self.size)} for _ in range(n)]

    def step(self):
        rng = self.rng
        db, name = rng.choice(self.where)
        path = f"/_db/{db}/_api/document/{name}?silent=true"
        n = rng.choice((1, 1, 3, 20))
        x = rng.random()
        if self.unique and x < 0.15:
            return self.swap(*self.unique)
        if self.truncate and x < 0.17:
            db, name = rng.choice(self.truncate)
            self.ask("PUT", f"/_db/{db}/_api/collection/{name}/truncate")
            return "truncate"
        if x < 0.45:
            self.ask("POST", path + "&overwriteMode=replace", self.docs(n))
            return "replace or insert"
        if x < 0.6:
            self.ask("PATCH", path, self.docs(n, extra={"u": n}))
            return "update"
        if x < 0.8:
            self.ask("DELETE", path, [d["_key"] for d in self.docs(n)])
            return "remove"
        if x < 0.9:
            return self.in_transaction(db, name, path)
        self.ask("PUT", path, self.docs(n))
        return "replace"

    def in_transaction(self, db, name, path):
        r = self.ask("POST", f"/_db/{db}/_api/transaction/begin",
                     {"collections": {"write": name}})
        if r.status >= 300:
            raise Refused(repr(r))
        trx = r.json["result"]["id"]
        h = {"x-arango-trx-id": trx}
        end = f"/_db/{db}/_api/transaction/{trx}"
        try:
            for _ in range(self.rng.randrange(1, 4)):
                self.ask("POST", path + "&overwriteMode=replace", self.docs(5), h)
                self.ask("DELETE", path, [d["_key"] for d in self.docs(2)], h)
        except Refused:
            self.ask("DELETE", end)     # a barrier waits for who stays open
            raise
        if self.rng.random() < 0.7:
            self.ask("PUT", end)
            return "committed transaction"
        self.ask("DELETE", end)
        return "aborted transaction"

    def swap(self, db, name):
        """Two keys exchange a unique value, in one of three ways."""
        a, b = self.rng.sample(range(40), 2)
        path = f"/_db/{db}/_api/document/{name}"
        found = []
        for k in (a, b):
            r = self.h.get(f"{path}/s{k}")
            found.append(r.json.get("u") if r.status == 200 else None)
        way = self.rng.randrange(3)
        free = 10**6 + self.rng.randrange(10**9)
        if None in found:
            for k, u in zip((a, b), found):
                if u is None:
                    self.ask("POST", path, {"_key": f"s{k}", "u": free + k})
        elif way == 0:
            self.ask("PATCH", f"{path}/s{a}", {"u": free})
            self.ask("PATCH", f"{path}/s{b}", {"u": found[0]})
            self.ask("PATCH", f"{path}/s{a}", {"u": found[1]})
        elif way == 1:
            self.ask("DELETE", path, [f"s{a}", f"s{b}"])
            self.ask("POST", path, [{"_key": f"s{b}", "u": found[0]},
                                    {"_key": f"s{a}", "u": found[1]}])
        else:
            self.ask("DELETE", f"{path}/s{a}")
            self.ask("PATCH", f"{path}/s{b}", {"u": found[0]})
            self.ask("POST", path, {"_key": f"s{a}", "u": found[1]})
        return "swap"

    def told(self):
        return ", ".join(f"{n} x {k}" for k, n in sorted(self.by_kind.items())) + \
            f"; {self.failed} failed"


class Refused(Exception):
    """The cluster could not just now; that is expected of a killed one."""
