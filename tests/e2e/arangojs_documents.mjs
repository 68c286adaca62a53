// arangojs_documents.mjs - tests of documents, for arangojs.mjs.
import assert from "node:assert/strict";
import { aql, db, everywhere, fails, failsBare, fresh, has, other, sixty }
    from "./arangojs_lib.mjs";

const REV = /^_[A-Za-z0-9_-]{10}$/;

async function savingDocuments() {
    const c = await fresh("docs", { numberOfShards: 3 });
    await everywhere("docs");
    const meta = await c.save({ _key: "one", a: 1 });
    assert.deepEqual(Object.keys(meta).sort(), ["_id", "_key", "_rev"]);
    has(meta, { _id: "docs/one", _key: "one" });
    assert.match(meta._rev, REV);
    const own = await c.save({ a: 2 });
    assert.match(own._key, /^\d+$/);
    assert.deepEqual((await c.save({ _key: "two", b: [1, { c: null }] },
        { returnNew: true })).new,
        { ...(await c.document("two")), b: [1, { c: null }] });
    assert.equal(await c.save({ _key: "quiet" }, { silent: true }), undefined);
    assert.equal(await c.documentExists("quiet"), true);
    const synced = await db.request({ method: "POST",
        path: "/_api/document/docs", search: { waitForSync: true },
        body: { _key: "synced" } }, (res) => res);
    assert.equal(synced.status, 201);
    const unsynced = await db.request({ method: "POST",
        path: "/_api/document/docs", body: {} }, (res) => res);
    assert.equal(unsynced.status, 202);

    // An existing key, by overwriteMode.
    await fails(c.save({ _key: "one", a: 9 }), 409, 1210, /primary/);
    await fails(c.save({ _key: "one", a: 9 }, { overwriteMode: "conflict" }),
        409, 1210);
    const ignored = await c.save({ _key: "one", a: 9 },
        { overwriteMode: "ignore" });
    assert.equal(ignored._rev, meta._rev);
    const replaced = await c.save({ _key: "one", b: { x: 1, y: 2 } },
        { overwriteMode: "replace", returnOld: true, returnNew: true });
    assert.equal(replaced._oldRev, meta._rev);
    assert.equal(replaced.old.a, 1);
    assert.equal(replaced.new.a, undefined);
    assert.deepEqual(replaced.new.b, { x: 1, y: 2 });
    const merged = await c.save({ _key: "one", c: 3, b: { x: null } },
        { overwriteMode: "update", returnNew: true });
    assert.deepEqual([merged.new.b, merged.new.c], [{ y: 2 }, 3]);
    const nulls = await c.save({ _key: "one", b: { z: null } },
        { overwriteMode: "update", keepNull: true, mergeObjects: false,
            returnNew: true });
    assert.deepEqual(nulls.new.b, { z: null });

    // Keys and bodies that are none.
    await fails(c.save({ _key: "a b" }), 400, 1221);
    await fails(c.save({ _key: "" }), 400, 1221);
    await fails(c.save({ _key: 5 }), 400, 1221);
    await fails(c.save({ _key: "k".repeat(255) }), 400, 1221);
    assert.equal((await c.save({ _key: "k".repeat(254) }))._key.length, 254);
    await fails(c.save("no document"), 400, 600);
    await fails(db.collection("none").save({}), 404, 1203,
        /collection or view not found/);

    // Many: one result for each, in order, errors among them.
    const many = await c.saveAll([{ _key: "m1", v: 1 }, { _key: "one" },
        { _key: "m2" }, { _key: "bad key" }, "text"], { returnNew: true });
    assert.deepEqual(many.map((x) => x.errorNum ?? x._key),
        ["m1", 1210, "m2", 1221, 1227]);
    assert.equal(many[0].new.v, 1);
    assert.equal(many[1].error, true);
    assert.deepEqual(await c.saveAll([]), []);
    assert.equal(await c.saveAll([{ _key: "m3" }], { silent: true }),
        undefined);
    const codes = await db.request({ method: "POST",
        path: "/_api/document/docs", body: [{ _key: "m1" }, { _key: "m2" },
            { _key: "/" }, {}] }, (res) => res);
    assert.equal(codes.status, 202);
    assert.deepEqual(JSON.parse(codes.headers.get("x-arango-error-codes")),
        { 1210: 2, 1221: 1 });

    // JSON survives.
    const odd = { _key: "odd", s: "Grüße \u0000 \u{1F600}", i: 2 ** 53,
        neg: -1.5e-300, big: 1e300, t: true, n: null, deep: [[[[{}]]]], e: [],
        "": "empty name", "a.b": 1 };
    await c.save(odd);
    const back = await other.collection("docs").document("odd");
    for (const [k, v] of Object.entries(odd))
        assert.deepEqual(back[k], v, k);
}

async function readingDocuments() {
    const c = await fresh("docs", { numberOfShards: 3 });
    await everywhere("docs");
    await c.saveAll(sixty());
    const d = await c.document("k10");
    has(d, { _key: "k10", _id: "docs/k10", n: 10 });
    assert.deepEqual(await c.document("docs/k10"), d);
    assert.deepEqual(await c.document({ _id: "docs/k10" }), d);
    assert.deepEqual(await other.collection("docs").document(d), d);
    await fails(c.document("k99"), 404, 1202, /document not found/);
    assert.equal(await c.document("k99", { graceful: true }), null);
    assert.equal(await c.document("k99", true), null);
    await fails(db.collection("none").document("x"), 404, 1203);

    assert.equal(await c.documentExists("k10"), true);
    assert.equal(await c.documentExists("k99"), false);
    assert.equal(await c.documentExists("k10", { ifMatch: d._rev }), true);
    assert.equal(await c.documentExists("k10", { ifNoneMatch: "_aaaaaaaaaa" }),
        true);
    await failsBare(c.documentExists("k10", { ifMatch: "_aaaaaaaaaa" }), 412);
    await failsBare(c.documentExists("k10", { ifNoneMatch: d._rev }), 304);
    assert.deepEqual(await c.document("k10", { ifMatch: d._rev }), d);
    await fails(c.document("k10", { ifMatch: "_aaaaaaaaaa" }), 412, 1200);
    await failsBare(c.document("k10", { ifNoneMatch: d._rev }), 304);
    assert.deepEqual(await c.document("k10", { ifNoneMatch: "_aaaaaaaaaa" }),
        d);
    const res = await db.request({ path: "/_api/document/docs/k10" }, (r) => r);
    assert.equal(res.headers.get("etag"), `"${d._rev}"`);

    const some = await c.documents(["k01", { _key: "k02" }, "absent",
        "docs/k03"]);
    assert.deepEqual(some.map((x) => x.errorNum ?? x.n), [1, 2, 1202, 3]);
    assert.deepEqual(await c.documents([]), []);
    assert.equal((await c.documents(sixty())).length, 60);
    const dirty = await c.document("k10", { allowDirtyRead: true });
    assert.deepEqual(dirty, d);
}

async function changingDocuments() {
    const c = await fresh("docs", { numberOfShards: 3 });
    const first = await c.save({ _key: "a", x: { y: 1, z: 2 }, list: [1, 2] });

    // update: attributes laid over, nulls kept unless told.
    let r = await c.update("a", { x: { y: 9, w: null } },
        { returnNew: true, returnOld: true });
    has(r, { _key: "a", _id: "docs/a", _oldRev: first._rev });
    assert.notEqual(r._rev, first._rev);
    assert.deepEqual(r.old.x, { y: 1, z: 2 });
    assert.deepEqual(r.new.x, { y: 9, z: 2, w: null });
    assert.deepEqual(r.new.list, [1, 2]);
    r = await c.update("a", { x: { w: null, z: null }, list: null },
        { keepNull: false, returnNew: true });
    assert.deepEqual(r.new.x, { y: 9 });
    assert.ok(!("list" in r.new));
    r = await c.update("a", { x: { only: 1 } },
        { mergeObjects: false, returnNew: true });
    assert.deepEqual(r.new.x, { only: 1 });
    assert.equal(await c.update("a", { q: 1 }, { silent: true }), undefined);
    assert.equal((await c.document("a")).q, 1);
    await fails(c.update("none", { x: 1 }), 404, 1202);
    // _key and _id of the body do not move a document.
    r = await c.update("a", { _key: "b", _id: "docs/b", v: 1 });
    assert.equal(r._key, "a");

    // revisions as conditions
    const now = (await c.document("a"))._rev;
    const e = await fails(c.update("a", { _rev: first._rev, x: 1 },
        { ignoreRevs: false }), 412, 1200, /conflict/);
    has(e.response.parsedBody, { _key: "a", _id: "docs/a", _rev: now });
    await fails(c.update("a", { x: 1 }, { ifMatch: first._rev }), 412, 1200);
    await fails(c.replace("a", { x: 1 }, { ifMatch: first._rev }), 412, 1200);
    await fails(c.remove("a", { ifMatch: first._rev }), 412, 1200);
    r = await c.update("a", { _rev: first._rev, x: 1 });
    assert.equal(r._oldRev, now);
    r = await c.update("a", { x: 2 }, { ifMatch: r._rev });
    r = await c.update("a", { _rev: r._rev, x: 3 }, { ignoreRevs: false });

    // replace: nothing else is left
    r = await c.replace("a", { only: true }, { returnNew: true,
        returnOld: true });
    assert.equal(r.old.x, 3);
    assert.deepEqual(Object.keys(r.new).sort(),
        ["_id", "_key", "_rev", "only"]);
    await fails(c.replace("none", {}), 404, 1202);
    assert.equal(await c.replace("a", { b: 1 }, { silent: true }), undefined);
    r = await c.replace("a", { b: 2 }, { waitForSync: true });
    assert.match(r._rev, REV);

    // remove
    const last = await c.document("a");
    r = await c.remove("a", { returnOld: true });
    assert.deepEqual(r.old, last);
    assert.equal(r._rev, last._rev);
    await fails(c.remove("a"), 404, 1202);
    await c.save({ _key: "a" });
    assert.equal(await c.remove("a", { silent: true }), undefined);
    assert.equal(await c.documentExists("a"), false);
}

async function changingMany() {
    const c = await fresh("docs", { numberOfShards: 3 });
    const made = await c.saveAll(sixty());
    let r = await c.updateAll([{ _key: "k00", n: 100, o: { p: null } },
        { _key: "absent", n: 1 }, { _key: "k01", n: 101 },
        { _key: "k02", _rev: made[3]._rev, n: 102 }, { n: 5 },
        { _id: "docs/k03", n: 103 }],
    { returnNew: true, returnOld: true, keepNull: false, ignoreRevs: false });
    // The driver's manual says that _id will do; arangod wants a _key.
    assert.deepEqual(r.map((x) => x.errorNum ?? x._key),
        ["k00", 1202, "k01", 1200, 1205, 1205]);
    assert.deepEqual([r[0].old.n, r[0].new.n, r[0].new.o], [0, 100, {}]);
    assert.equal(r[0]._oldRev, made[0]._rev);
    assert.deepEqual(r[3], { error: true, errorNum: 1200,
        errorMessage: "conflict, _rev values do not match" });
    assert.equal((await c.document("k02")).n, 2);

    r = await c.updateAll(sixty().map(({ _key }) => ({ _key, all: true })));
    assert.ok(r.every((x, i) => x._key === made[i]._key && !x.error));
    r = await c.replaceAll([{ _key: "k03", only: 1 }, { _key: "absent" }],
        { returnNew: true });
    assert.deepEqual(r.map((x) => x.errorNum ?? x.new.only), [1, 1202]);
    assert.ok(!("n" in r[0].new));
    assert.equal(await c.replaceAll([{ _key: "k04", s: 1 }], { silent: true }),
        undefined);
    assert.equal((await c.document("k04")).s, 1);

    r = await c.removeAll(["k00", { _key: "k01" }, "docs/k02", "absent"],
        { returnOld: true });
    assert.deepEqual(r.map((x) => x.errorNum ?? x.old.n), [100, 101, 2, 1202]);
    r = await c.removeAll([{ _key: "k05", _rev: "_aaaaaaaaaa" },
        { _key: "k06" }], { ignoreRevs: false });
    assert.deepEqual(r.map((x) => x.errorNum ?? x._key), [1200, "k06"]);
    assert.equal(await c.removeAll(["k07"], { silent: true }), undefined);
    assert.equal((await c.count()).count, 55);
    await fails(db.collection("none").updateAll([{ _key: "x" }]), 404, 1203);
    await fails(c.replaceAll({ _key: "k08" }), 400, 400);
}

async function shardKeys() {
    const c = await fresh("sharded", { numberOfShards: 4,
        shardKeys: ["country"] });
    await fails(c.save({ _key: "own", country: "de" }), 400, 1466);
    const made = await c.saveAll(Array.from({ length: 40 },
        (_, n) => ({ country: `c${n % 7}`, n })));
    assert.ok(made.every((x) => !x.error));
    for (const [n, m] of made.entries()) {
        const d = await c.document(m._key);
        assert.deepEqual([d.n, d.country], [n, `c${n % 7}`]);
    }
    // The value that says where a document lives cannot change.
    const at = (country) => c.getResponsibleShard({ country });
    const home = await at("c0"), names = ["x0", "x1", "x2", "x3", "x4", "x5",
        "x6", "x7", "x8", "x9", "y0", "y1", "y2", "y3", "y4", "y5"];
    const shards = await Promise.all(names.map(at));
    const near = names[shards.indexOf(home)];
    const far = names[shards.findIndex((s) => s !== home)];
    await fails(c.update(made[0]._key, { country: near }), 400, 1469);
    await fails(c.replace(made[0]._key, { country: near }), 400, 1469);
    // The shard that the new value names does not have the document.
    await fails(c.update(made[0]._key, { country: far }), 404, 1202);
    await fails(c.replace(made[0]._key, { n: 1 }), 400, 1469);
    assert.deepEqual((await c.updateAll([
        { _key: made[0]._key, country: near }, { _key: made[1]._key, m: 1 }]))
        .map((x) => x.errorNum ?? 0), [1469, 0]);
    const r = await c.update(made[1]._key, { n: "new" }, { returnNew: true });
    assert.equal(r.new.country, "c1");
    assert.equal((await c.replace(made[2]._key, { country: "c2" }))._key,
        made[2]._key);
    const gone = await c.removeAll(made.slice(3, 9).map((m) => m._key));
    assert.ok(gone.every((x) => !x.error));
    assert.equal((await c.count()).count, 34);
    assert.equal(await c.getResponsibleShard({ country: "c1" }),
        await c.getResponsibleShard({ country: "c1", n: 5 }));
}

async function edges() {
    const v = await fresh("places");
    const c = await fresh("roads", { type: 3, numberOfShards: 2 });
    await v.saveAll([{ _key: "a" }, { _key: "b" }, { _key: "c" }]);
    const m = await c.save({ _from: "places/a", _to: "places/b", km: 4 });
    has(await c.document(m), { _from: "places/a", _to: "places/b", km: 4 });
    await fails(c.save({ km: 1 }), 400, 1233);
    await fails(c.save({ _from: "places/a" }), 400, 1233);
    await fails(c.save({ _from: "a", _to: "places/b" }), 400, 1233);
    const r = await c.saveAll([{ _from: "places/b", _to: "places/c" },
        { _to: "places/c" }, { _from: "places/a", _to: "places/c" }]);
    assert.deepEqual(r.map((x) => x.errorNum ?? 0), [0, 1233, 0]);
    await c.update(m, { km: 5 });
    has(await c.document(m), { _from: "places/a", _to: "places/b", km: 5 });
    const moved = await c.update(m, { _to: "places/c" }, { returnNew: true });
    assert.equal(moved.new._to, "places/c");
    await fails(c.replace(m, { km: 6 }), 400, 1233);
    await c.replace(m, { _from: "places/c", _to: "places/a" });

    const types = (await c.indexes()).map((x) => x.type);
    assert.deepEqual(types, ["primary", "edge"]);
    const q = await db.query(aql`
        FOR e IN ${c} FILTER e._to == ${"places/c"} RETURN e._from`);
    assert.deepEqual((await q.all()).sort(), ["places/a", "places/b"]);
    assert.equal((await c.count()).count, 3);

    await c.save({ _key: "loop", _from: "places/a", _to: "places/a" });
    const ends = (x) => x.edges.map((e) => e._from + ">" + e._to).sort();
    assert.deepEqual(ends(await c.outEdges("places/a")),
        ["places/a>places/a", "places/a>places/c"]);
    assert.deepEqual(ends(await c.inEdges("places/a")),
        ["places/a>places/a", "places/c>places/a"]);
    const any = (name, search) => db.request(
        { path: `/_api/edges/${name}`, search });
    assert.deepEqual(ends(await any("roads", { vertex: "places/a" })),
        ["places/a>places/a", "places/a>places/c", "places/c>places/a"]);
    assert.deepEqual(ends(await any("roads", { vertex: "places/z" })), []);
    // The driver asks for the direction "undefined", which is none.
    await fails(c.edges("places/a"), 400, 400);
    await fails(any("roads", {}), 400, 1205);
    await fails(any("places", { vertex: "places/a" }), 400, 1218);
    await fails(any("none", { vertex: "places/a" }), 404, 1203);
}

async function importing() {
    const c = await fresh("imported", { numberOfShards: 2 });
    assert.deepEqual(await c.import([{ _key: "a", n: 1 }, { _key: "b" },
        { n: 3 }]), { error: false, created: 3, errors: 0, empty: 0,
        updated: 0, ignored: 0 });
    let r = await c.import([{ _key: "a", n: 2 }, { _key: "c" }, { _key: "/" }],
        { details: true });
    has(r, { created: 1, errors: 2, updated: 0, ignored: 0 });
    assert.equal(r.details.length, 2);
    assert.equal(r.details[0], "at position 0: creating document failed with "
        + "error 'unique constraint violated', offending document: "
        + '{"_key":"a","n":2}');
    assert.match(r.details[1], /^at position 2: /);
    r = await c.import([{ _key: "a", m: 1 }], { onDuplicate: "update" });
    has(r, { created: 0, updated: 1 });
    has(await c.document("a"), { n: 1, m: 1 });
    r = await c.import([{ _key: "a", o: 1 }], { onDuplicate: "replace" });
    assert.equal((await c.document("a")).n, undefined);
    r = await c.import([{ _key: "a" }], { onDuplicate: "ignore" });
    has(r, { created: 0, updated: 0, ignored: 1, errors: 0 });
    // a table: names first, then rows
    r = await c.import([["_key", "x", "y"], ["t1", 1, null], ["t2", 2, "z"]]);
    has(r, { created: 2, errors: 0 });
    has(await c.document("t2"), { x: 2, y: "z" });
    r = await c.import('{"_key":"l1"}\n\n{"_key":"l2"}\n',
        { type: "documents" });
    has(r, { created: 2, empty: 1 });
    r = await c.import('[{"_key":"j1"},{"_key":"j2"}]', { type: "list" });
    has(r, { created: 2 });
    r = await c.import('[{"_key":"j3"}]', { type: "auto" });
    has(r, { created: 1 });
    await fails(c.import([{ _key: "x1" }, { _key: "a" }], { complete: true }),
        409, 1210);
    await fails(c.import("[5]", { type: "list", complete: true }), 400, 1227);
    r = await c.import('{"_key":"p1"}\n{"_key":\n{"_key":"p2"}',
        { type: "documents", details: true });
    has(r, { created: 2, errors: 1, details: ["at position 2: invalid JSON "
        + 'type (expecting object, probably parse error), offending context: '
        + '{"_key":'] });
    r = await c.import('["x","y"]\n[1]\n[1,2,3]', { details: true });
    has(r, { created: 0, errors: 2 });
    assert.equal(r.details[0],
        "at position 1: wrong number of JSON values (got 1, expected 2)");
    r = await c.import('["x","y"]\n[1]\n[1,2,3]', { ignoreMissing: true });
    has(r, { created: 2, errors: 0 });
    await fails(c.import('{"x":1}\n[1]'), 400, 400);
    r = await c.import([{ _key: "new" }], { overwrite: true });
    assert.equal((await c.count()).count, 1);
    await fails(db.collection("none").import([{}]), 404, 1203);

    const e = await fresh("importedEdges", { type: 3 });
    await e.import([{ _from: "a", _to: "b", _key: "e" }],
        { fromPrefix: "imported", toPrefix: "others" });
    has(await e.document("e"), { _from: "imported/a", _to: "others/b" });
    r = await e.import([{ _from: 7, _to: "w/b", _key: "f" }, { _from: "v/a" }],
        { fromPrefix: "imported/", details: true });
    has(r, { created: 1, errors: 1, details: ["at position 2: missing '_from' "
        + "or '_to' attribute, offending document: {\"_from\":\"v/a\"}"] });
    has(await e.document("f"), { _from: "imported/7", _to: "w/b" });
}

export const documents = { savingDocuments, readingDocuments,
    changingDocuments, changingMany, shardKeys, edges, importing };
