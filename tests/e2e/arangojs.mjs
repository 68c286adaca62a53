// arangojs.mjs - a day's work of the official JavaScript driver.  Run by
// arangojs.py, which starts the cluster.  Reports in TAP.  What is asserted is
// what arangod answers, not just that nothing was thrown.
import assert from "node:assert/strict";
import { documents } from "./arangojs_documents.mjs";
import { DB, Database, aql, auth, config, db, everywhere, fails, fresh, has,
    other, root, sixty, use } from "./arangojs_lib.mjs";

async function loggingIn() {
    const url = config.urls[0];
    await fails(new Database({ url }).version(), 401, 11);
    await fails(new Database({ url, auth: { ...auth, password: "wrong" } })
        .version(), 401, 11);

    const byToken = new Database({ url });
    const token = await byToken.login(auth.username, auth.password);
    assert.equal(token.split(".").length, 3);
    const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    has(claims, { iss: "arangodb", preferred_username: auth.username });
    assert.ok(claims.exp > Date.now() / 1000);
    assert.equal((await byToken.version()).server, "arango");
    await fails(new Database({ url }).login(auth.username, "wrong"), 401, 401);
    // A token holds at every coordinator.
    const there = new Database({ url: config.urls[1], auth: { token } });
    assert.equal((await there.version()).server, "arango");
    // Only a token that is about to expire is renewed.
    assert.equal(await byToken.renewAuthToken(), null);
    assert.equal((await byToken.version()).server, "arango");
    await fails(root.renewAuthToken(), 404, 1703);
    byToken.useBearerAuth(config.shortToken);
    const renewed = await byToken.renewAuthToken();
    assert.notEqual(renewed, config.shortToken);
    assert.equal((await byToken.version()).server, "arango");
}

async function theServer() {
    const v = await root.version();
    has(v, { server: "arango", license: "community" });
    assert.match(v.version, /^3\.\d+\.\d+/);
    const detailed = await root.version(true);
    assert.equal(detailed.version, v.version);
    assert.equal(detailed.details.role, "COORDINATOR");
    assert.equal((await root.engine()).name, "rocksdb");
    assert.ok(Math.abs(await root.time() - Date.now()) < 60000);
    has(await root.status(), { server: "arango", license: "community" });
    assert.equal(await root.availability(), "default");

    const list = new Database({ url: config.urls[0], auth });
    await list.acquireHostList(true);
    for (let i = 0; i < 4; i++)
        assert.equal((await list.version()).server, "arango");
}

async function databases() {
    const made = await root.createDatabase(DB,
        { replicationFactor: 2, writeConcern: 1 });
    assert.equal(made.name, DB);
    use(made, new Database({ url: config.urls[1], auth, databaseName: DB }));
    has(await db.get(), { name: DB, isSystem: false, path: "none",
        replicationFactor: 2, writeConcern: 1, sharding: "" });
    assert.match((await db.get()).id, /^\d+$/);
    has(await root.get(), { name: "_system", isSystem: true, id: "1" });
    assert.equal(await db.exists(), true);
    assert.equal(await root.database("nowhere").exists(), false);
    for (const names of [await root.listDatabases(),
        await root.listUserDatabases(), await db.listUserDatabases()])
        assert.ok(names.includes(DB) && names.includes("_system"), names);
    assert.ok((await root.databases()).some((d) => d.name === DB));
    await new Database({ url: config.urls, auth, databaseName: DB })
        .waitForPropagation({ path: "/_api/database/current" }, 20000);
    assert.equal(await other.exists(), true);

    await fails(root.createDatabase(DB), 409, 1207);
    await fails(root.createDatabase("no/slashes"), 400, 1229);
    await fails(root.createDatabase("_private"), 400, 1229);
    await fails(db.createDatabase("nested"), 403, 1230);
    await fails(db.listDatabases(), 403, 1230);
    await fails(root.dropDatabase("nowhere"), 404, 1228);
    await fails(root.dropDatabase("_system"), 403, 11);
    await fails(root.database("nowhere").listCollections(), 404, 1228);

    const brief = await root.createDatabase("brief", [{ username: "root" }]);
    assert.ok((await brief.listCollections(false))
        .some((c) => c.name === "_graphs"));
    assert.equal(await root.dropDatabase("brief"), true);
    assert.equal(await brief.exists(), false);
    assert.ok(!(await root.listDatabases()).includes("brief"));
}

async function collections() {
    const options = {
        waitForSync: true, numberOfShards: 5, shardKeys: ["country", "zip"],
        replicationFactor: 2, writeConcern: 2, shardingStrategy: "hash",
        cacheEnabled: true,
        keyOptions: { type: "padded", allowUserKeys: false },
        schema: { rule: { properties: { n: { type: "number" } } },
            level: "moderate", message: "n is a number" },
        computedValues: [{ name: "made", expression: "RETURN DATE_NOW()",
            overwrite: false, computeOn: ["insert"], keepNull: false,
            failOnWarning: false }],
    };
    const c = db.collection("people");
    assert.equal(await c.exists(), false);
    const made = await c.create(options);
    const kept = {
        name: "people", type: 2, status: 3, isSystem: false,
        statusString: "loaded", waitForSync: true, numberOfShards: 5,
        shardKeys: ["country", "zip"], replicationFactor: 2, writeConcern: 2,
        minReplicationFactor: 2, shardingStrategy: "hash", cacheEnabled: true,
        isSmart: false, isDisjoint: false,
    };
    for (const p of [made, await c.properties(), await other
        .waitForPropagation({ path: "/_api/collection/people" }, 20000)
        .then(() => other.collection("people").properties())]) {
        has(p, { ...kept, error: false, code: 200 });
        has(p.keyOptions, { type: "padded", allowUserKeys: false });
        has(p.schema, { rule: options.schema.rule, level: "moderate",
            message: "n is a number" });
        has(p.computedValues[0], { ...options.computedValues[0] });
        assert.match(p.id, /^\d+$/);
        assert.equal(p.id, made.id);
        assert.equal(p.globallyUniqueId, made.globallyUniqueId);
    }
    has(await c.get(), { id: made.id, name: "people", type: 2, status: 3 });

    // Only some of them can change; the others are overlooked.
    const p = await c.properties({ waitForSync: false, replicationFactor: 3,
        writeConcern: 1, schema: null, computedValues: [],
        cacheEnabled: false, numberOfShards: 9, shardKeys: ["zip"] });
    for (const now of [p, await c.properties()])
        has(now, { ...kept, waitForSync: false, replicationFactor: 3,
            writeConcern: 1, minReplicationFactor: 1, schema: null,
            cacheEnabled: false });
    await fails(c.properties({ replicationFactor: config.dbservers + 1 }),
        500, 1487);

    const edges = await db.createEdgeCollection("knows");
    has(await edges.properties(), { type: 3, numberOfShards: 1,
        shardKeys: ["_key"], replicationFactor: 2, writeConcern: 1 });
    has((await edges.properties()).keyOptions,
        { type: "traditional", allowUserKeys: true });
    await fails(fresh("follower", { distributeShardsLike: "people" }), 400, 10);
    await fresh("follower", { distributeShardsLike: "people",
        shardKeys: ["land", "plz"] });
    has(await db.collection("follower").properties(),
        { distributeShardsLike: "people", numberOfShards: 5,
            shardKeys: ["land", "plz"], replicationFactor: 3 });
    await fails(c.drop(), 500, 1485);

    const names = (await db.listCollections()).map((x) => x.name).sort();
    assert.deepEqual(names, ["follower", "knows", "people"]);
    assert.ok((await db.listCollections(false))
        .some((x) => x.name === "_graphs" && x.isSystem));
    assert.equal((await db.collections()).length, 3);

    await fails(db.createCollection("people"), 409, 1207);
    await fails(db.createCollection("0people"), 400, 1208);
    await fails(db.createCollection("_hidden"), 400, 1208);
    await fails(db.createCollection("x", { replicationFactor: 9 }), 500, 1487);
    await fails(db.createCollection("x", { writeConcern: 3,
        replicationFactor: 2 }), 400, 10);
    await fails(db.createCollection("x", { numberOfShards: 0 }), 400, 10);
    await fails(db.createCollection("x", { numberOfShards: 2,
        keyOptions: { type: "autoincrement" } }), 501, 1470);
    await fails(db.createCollection("x", { keyOptions: { type: "odd" } }),
        400, 1232);
    await fails(db.createCollection("x", { distributeShardsLike: "none" }),
        500, 1486);
    await fails(db.createCollection("x", { schema: { level: "sometimes",
        rule: {} } }), 400, 1621);
    await fails(db.collection("none").properties(), 404, 1203);
    await fails(db.collection("none").drop(), 404, 1203);
    await fails(db.collection("_graphs").drop(), 403, 11);
    await fails(edges.rename("renamed"), 501, 1470);
    const sys = await db.createCollection("_mine", { isSystem: true });
    assert.equal((await sys.get()).isSystem, true);
    assert.equal((await sys.drop({ isSystem: true })).error, false);

    has(await db.collection("follower").drop(), { error: false, code: 200 });
    assert.equal((await c.drop()).id, made.id);
    assert.equal(await c.exists(), false);
}

async function propertiesOfData() {
    const c = await fresh("facts", { numberOfShards: 3, replicationFactor: 2 });
    await c.saveAll(sixty());
    has(await c.count(), { count: 60, name: "facts", numberOfShards: 3 });
    assert.equal(await c.recalculateCount(), true);
    const f = await c.figures();
    assert.equal(f.count, 60);
    assert.equal(f.figures.indexes.count, 1);
    assert.equal(await c.loadIndexes(), true);

    const shards = (await c.shards()).shards;
    assert.equal(shards.length, 3);
    const detail = (await c.shards(true)).shards;
    assert.deepEqual(Object.keys(detail).sort(), [...shards].sort());
    for (const servers of Object.values(detail)) {
        assert.equal(servers.length, 2);
        assert.match(servers[0], /^PRMR-/);
    }
    const used = new Set();
    for (const d of sixty())
        used.add(await c.getResponsibleShard({ _key: d._key }));
    assert.deepEqual([...used].sort(), [...shards].sort());
    await fails(c.getResponsibleShard({ other: 1 }), 400, 1468);

    const before = { revision: (await c.revision()).revision,
        ...(await c.checksum({ withData: true, withRevisions: true })) };
    assert.match(before.checksum, /^\d+$/);
    const plain = await c.checksum();
    const d = await c.update("k07", { n: 70 });
    const after = await c.checksum({ withData: true, withRevisions: true });
    assert.notEqual(after.checksum, before.checksum);
    // Without revisions and data only keys count.
    assert.equal((await c.checksum()).checksum, plain.checksum);
    assert.equal((await c.revision()).revision, d._rev);
    assert.equal(after.revision, d._rev);
    await c.update("k07", { n: 7 });
    assert.equal((await c.checksum({ withData: true })).checksum,
        (await c.checksum({ withData: true })).checksum);

    has(await c.truncate(), { error: false, code: 200, name: "facts" });
    assert.equal((await c.count()).count, 0);
    assert.equal((await c.checksum()).checksum, "0");
    await fails(db.collection("none").count(), 404, 1203);
    await fails(db.collection("none").truncate(), 404, 1203);
    await fails(db.collection("none").checksum(), 404, 1203);
}

async function indexes() {
    const c = await fresh("indexed", { numberOfShards: 2 });
    await c.saveAll(sixty());
    const wanted = [
        [{ type: "persistent", name: "by_n", fields: ["n"] },
            { unique: false, sparse: false, deduplicate: true,
                estimates: true, cacheEnabled: false }],
        [{ type: "persistent", name: "by_two", fields: ["a.b", "c[*]"],
            unique: false, sparse: true, deduplicate: false, estimates: false,
            storedValues: ["x", "y"], cacheEnabled: true, inBackground: true },
        { sparse: true, deduplicate: false, estimates: false,
            storedValues: ["x", "y"], cacheEnabled: true }],
        [{ type: "persistent", name: "by_key", fields: ["_key", "n"],
            unique: true }, { unique: true }],
        [{ type: "ttl", name: "expire", fields: ["until"], expireAfter: 3600 },
            { expireAfter: 3600, sparse: true, unique: false,
                estimates: false }],
        [{ type: "geo", name: "where", fields: ["loc"], geoJson: true },
            { geoJson: true, legacyPolygons: false, sparse: true,
                unique: false }],
        [{ type: "geo", name: "latlon", fields: ["lat", "lon"] },
            { geoJson: undefined, sparse: true }],
        [{ type: "fulltext", name: "text", fields: ["text"], minLength: 4 },
            { minLength: 4, sparse: true, unique: false }],
        [{ type: "inverted", name: "search", fields: ["text",
            { name: "title", analyzer: "identity" }] },
        { type: "inverted", analyzer: "identity", sparse: true,
            unique: false, includeAllFields: false }],
        [{ type: "zkd", name: "box", fields: ["x", "y"],
            fieldValueTypes: "double" }, { unique: false,
            fieldValueTypes: "double" }],
    ];
    const ids = {};
    for (const [def, more] of wanted) {
        const made = await c.ensureIndex(def);
        has(made, { name: def.name, type: def.type, isNewlyCreated: true,
            error: false, code: 201, ...more });
        if (def.type !== "inverted")
            assert.deepEqual(made.fields, def.fields);
        assert.match(made.id, /^indexed\/\d+$/);
        ids[def.name] = made.id;
        const again = await c.ensureIndex(def);
        has(again, { id: made.id, isNewlyCreated: false, code: 200 });
        const got = await c.index(made.id);
        has(got, { id: made.id, name: def.name, type: def.type, ...more });
        assert.equal((await c.index(def.name)).id, made.id);
    }
    const inverted = await c.index("search");
    assert.deepEqual(inverted.fields.map((f) => f.name), ["text", "title"]);

    const list = await c.indexes();
    assert.deepEqual(list.map((x) => x.name),
        ["primary", ...wanted.map(([d]) => d.name)]);
    has(list[0], { id: "indexed/0", type: "primary", fields: ["_key"],
        unique: true, sparse: false });
    assert.deepEqual((await other.collection("indexed").indexes())
        .map((x) => x.id), list.map((x) => x.id));
    const unnamed = await c.ensureIndex({ type: "persistent", fields: ["q"] });
    assert.match(unnamed.name, /^idx_\d+$/);

    // Same definition under another name: the old one.
    has(await c.ensureIndex({ type: "persistent", name: "again",
        fields: ["n"] }), { id: ids.by_n, name: "by_n",
        isNewlyCreated: false });
    await fails(c.ensureIndex({ type: "persistent", name: "by_n",
        fields: ["other"] }), 400, 1005);
    await fails(c.ensureIndex({ type: "persistent", fields: ["n"],
        unique: true }), 400, 1470);
    await fails(c.ensureIndex({ type: "ttl", fields: ["again"],
        expireAfter: 1 }), 400, 10);
    await fails(c.ensureIndex({ type: "persistent", fields: [] }), 400, 10);
    await fails(c.ensureIndex({ type: "nonsense", fields: ["a"] }), 400, 10);
    await fails(c.ensureIndex({ fields: ["a"] }), 400, 10);
    await fails(c.ensureIndex({ type: "primary", fields: ["_key"] }), 403, 11);
    await fails(c.ensureIndex({ type: "persistent", fields: ["a"],
        name: "no/good" }), 400, 1208);
    await fails(db.collection("none").indexes(), 404, 1203);

    assert.deepEqual(await c.dropIndex(ids.by_n),
        { id: ids.by_n, error: false, code: 200 });
    await fails(c.index(ids.by_n), 404, 1212);
    await fails(c.dropIndex(ids.by_n), 404, 1212);
    await fails(c.dropIndex("indexed/0"), 403, 11);
    assert.equal((await c.dropIndex("expire")).id, "indexed/expire");
    await fails(c.index(ids.expire), 404, 1212);
    assert.equal((await c.indexes()).length, wanted.length);
}

async function uniqueIndexes() {
    const c = await fresh("uniq");
    await c.ensureIndex({ type: "persistent", name: "u", fields: ["v"],
        unique: true });
    await c.ensureIndex({ type: "persistent", name: "s", fields: ["w"],
        unique: true, sparse: true });
    await c.save({ _key: "a", v: 1, w: 1 });
    const e = await fails(c.save({ _key: "b", v: 1 }), 409, 1210);
    assert.equal(e.message, "unique constraint violated - in index u of type "
        + "persistent over 'v'; conflicting key: a");
    await c.save({ _key: "b", v: 2 });
    await c.save({ _key: "c" });
    await fails(c.save({ _key: "d" }), 409, 1210);
    await fails(c.update("b", { v: 1 }), 409, 1210);
    await fails(c.replace("b", { v: 2, w: 1 }), 409, 1210);
    const r = await c.saveAll([{ v: 5 }, { v: 5 }, { v: 6 }]);
    assert.deepEqual(r.map((x) => x.errorNum ?? 0), [0, 1210, 0]);
    await c.remove("a");
    assert.equal((await c.save({ _key: "e", v: 1, w: 1 }))._key, "e");
    assert.equal((await c.count()).count, 5);
    // What is there already does not let a unique index come.
    const d = await fresh("notuniq");
    await d.saveAll([{ _key: "1", v: 1 }, { _key: "2", v: 1 }]);
    await fails(d.ensureIndex({ type: "persistent", fields: ["v"],
        unique: true }), 400, 1210, /^Error during index creation: /);
    assert.equal((await d.indexes()).length, 1);
}

async function cursors() {
    const c = await fresh("docs", { numberOfShards: 3 });
    await c.saveAll(sixty());
    await everywhere("docs");
    const all = aql`FOR d IN ${c} SORT d._key RETURN d.n`;
    const numbers = sixty().map((d) => d.n);

    let q = await db.query(all);
    assert.equal(q.id, undefined);
    assert.equal(q.count, undefined);
    assert.deepEqual(q.extra.warnings, []);
    assert.equal(typeof q.extra.stats.executionTime, "number");
    assert.deepEqual(await q.all(), numbers);

    // batches of 7; counted; from the second coordinator as well
    for (const at of [db, other]) {
        q = await at.query(all, { batchSize: 7, count: true, ttl: 60 });
        assert.match(q.id, /^\d+$/);
        assert.equal(q.count, 60);
        const sizes = [];
        for await (const batch of q.batches)
            sizes.push(batch.length);
        assert.deepEqual(sizes, [7, 7, 7, 7, 7, 7, 7, 7, 4]);
    }
    q = await db.query(all, { batchSize: 60 });
    assert.equal(q.id, undefined);
    assert.equal(q.hasNext, true);
    q = await db.query(all, { batchSize: 59 });
    assert.equal((await q.all()).length, 60);

    q = await db.query(all, { batchSize: 25 });
    assert.equal(await q.next(), 0);
    let sum = 0;
    assert.equal(await q.forEach((n) => { sum += n; }), true);
    assert.equal(sum, 59 * 60 / 2);
    assert.equal(q.hasNext, false);
    assert.equal(await q.next(), undefined);
    q = await db.query(all, { batchSize: 9 });
    assert.deepEqual(await q.map((n) => n * 2), numbers.map((n) => n * 2));
    q = await db.query(all, { batchSize: 9 });
    assert.equal(await q.reduce((a, b) => a + b, 0), sum);
    q = await db.query(all, { batchSize: 10 });
    assert.equal(await q.forEach((n) => n < 3), false);

    // A cursor belongs to its coordinator; others pass requests on.
    q = await db.query(all, { batchSize: 20 });
    const res = await other.request({ method: "PUT",
        path: `/_api/cursor/${q.id}` });
    has(res, { result: numbers.slice(20, 40), hasMore: true, id: q.id });
    await q.kill();
    assert.equal(q.hasNext, false);
    await fails(db.request({ method: "PUT", path: `/_api/cursor/${q.id}` }),
        404, 1600);
    await fails(db.request({ method: "DELETE", path: `/_api/cursor/${q.id}` }),
        404, 1600);

    // A batch may be asked for again when the query allowed it.
    q = await db.query(all, { batchSize: 50, allowRetry: true });
    const url = `/_api/cursor/${q.id}`;
    const second = await db.request({ method: "POST", path: `${url}/2` });
    has(second, { result: numbers.slice(50), hasMore: false });
    assert.deepEqual(await other.request({ method: "POST",
        path: `${url}/2` }), second);
    await fails(db.request({ method: "POST", path: `${url}/1` }), 404, 1600);
    await db.request({ method: "DELETE", path: url });
    q = await db.query(all, { batchSize: 20 });
    await fails(db.request({ method: "POST", path: `/_api/cursor/${q.id}/1` }),
        400, 400);
    await q.kill();
}

async function queries() {
    const c = await fresh("docs", { numberOfShards: 3 });
    await c.saveAll(sixty());
    const run = async (...args) => (await db.query(...args)).all();
    assert.deepEqual(await run("RETURN 1"), [1]);
    assert.deepEqual(await run(aql`RETURN ${{ a: [1, "x", null] }}`),
        [{ a: [1, "x", null] }]);
    assert.deepEqual(await run(aql`RETURN LENGTH(${c})`), [60]);
    assert.deepEqual(await run("FOR d IN @@c FILTER d.n == @n RETURN d._key",
        { "@c": "docs", n: 11 }), ["k11"]);
    assert.deepEqual(await run(aql`FOR d IN ${c} FILTER d.even == ${true}
        SORT d._key DESC LIMIT 2, 3 RETURN d.n`), [54, 52, 50]);
    assert.deepEqual(await run(aql`FOR d IN ${c} FILTER d.even == false
        COLLECT WITH COUNT INTO n RETURN n`), [30]);
    assert.deepEqual(await run(aql`FOR d IN ${c} FILTER d.n == 3
        RETURN d`), [await c.document("k03")]);
    assert.equal((await run(aql`FOR d IN ${c} LIMIT 5 RETURN d`)).length, 5);
    const part = await db.query(aql`FOR d IN ${c} FILTER d.even == true
        LIMIT 4, 3 RETURN d`, { fullCount: true, count: true });
    assert.deepEqual([part.count, part.extra.stats.fullCount], [3, 30]);
    const gone = await db.query(aql`FOR d IN ${c} FILTER d.even == true
        REMOVE d IN ${c}`);
    assert.equal(gone.extra.stats.writesExecuted, 30);
    assert.equal((await c.count()).count, 30);

    await fails(db.query("RETRUN 1"), 400, 1501);
    await fails(db.query(""), 400, 1502);
    await fails(db.query("FOR d IN none RETURN d"), 404, 1203);
    await fails(db.query("RETURN @x"), 400, 1551);
    await fails(db.query("RETURN 1", { y: 1 }), 400, 1552);
    await fails(db.query("RETURN 1", undefined, { batchSize: 0 }), 400, 17);
    await fails(db.query("RETURN 1", "text"), 400, 17);
    assert.deepEqual(await db.listRunningQueries(), []);
    assert.deepEqual(await db.listSlowQueries(), []);
    await db.clearSlowQueries();
}

async function transactions() {
    const a = await fresh("accounts", { numberOfShards: 3 });
    const b = await fresh("bookings", { numberOfShards: 2 });
    await everywhere("bookings");
    await a.saveAll([{ _key: "x", sum: 100 }, { _key: "y", sum: 0 }]);

    const trx = await db.beginTransaction({ write: [a, b], read: [] });
    assert.match(trx.id, /^\d+$/);
    assert.equal(await trx.exists(), true);
    assert.deepEqual(await trx.get(), { id: trx.id, status: "running" });
    // The driver itself lists those of _system only.
    const running = async (at) => (await at.request({
        path: "/_api/transaction" })).transactions;
    for (const at of [db, other])
        assert.deepEqual(await running(at), [{ id: trx.id, state: "running" }]);
    assert.deepEqual(await db.listTransactions(), []);
    await trx.step(() => a.update("x", { sum: 60 }));
    await trx.step(() => a.update("y", { sum: 40 }));
    await trx.step(() => b.saveAll([{ _key: "b1", n: 40 }, { _key: "b2" }]));
    // Inside it is done, outside not.
    assert.equal((await trx.step(() => a.document("x"))).sum, 60);
    assert.equal((await a.document("x")).sum, 100);
    assert.equal(await b.documentExists("b1"), false);
    assert.equal((await b.count()).count, 0);
    assert.equal((await trx.step(() => b.count())).count, 2);
    const seen = await trx.step(() => db.query(aql`
        FOR d IN ${b} SORT d._key RETURN d._key`));
    assert.deepEqual(await seen.all(), ["b1", "b2"]);
    assert.deepEqual(await trx.commit(), { id: trx.id, status: "committed" });
    assert.deepEqual([(await a.document("x")).sum, (await a.document("y")).sum],
        [60, 40]);
    assert.equal((await other.collection("bookings").count()).count, 2);
    assert.deepEqual(await trx.get(), { id: trx.id, status: "committed" });
    await fails(trx.abort(), 400, 1653);
    await fails(trx.step(() => a.save({})), 400, 1653);

    const undone = await db.beginTransaction([a, b]);
    await undone.step(() => a.remove("x"));
    await undone.step(() => b.truncate());
    await undone.step(() => a.save({ _key: "z" }));
    assert.equal(await undone.step(() => a.documentExists("x")), false);
    assert.equal((await undone.step(() => b.count())).count, 0);
    assert.deepEqual(await undone.abort(),
        { id: undone.id, status: "aborted" });
    assert.equal((await a.document("x")).sum, 60);
    assert.equal(await a.documentExists("z"), false);
    assert.equal((await b.count()).count, 2);
    assert.deepEqual(await undone.get(), { id: undone.id, status: "aborted" });
    await fails(undone.step(() => a.document("x")), 410, 1654);
    await fails(undone.commit(), 400, 1653);

    // The driver's own way: commit at the end, abort on a throw.
    assert.equal(await db.withTransaction(a, async (step) => {
        await step(() => a.save({ _key: "w" }));
        return "done";
    }), "done");
    assert.equal(await a.documentExists("w"), true);
    await assert.rejects(db.withTransaction([a], async (step) => {
        await step(() => a.save({ _key: "never" }));
        throw new Error("mine");
    }), /mine/);
    assert.equal(await a.documentExists("never"), false);

    // Errors inside do not end it.
    const one = await db.beginTransaction({ write: a });
    await fails(one.step(() => a.save({ _key: "w" })), 409, 1210);
    await fails(one.step(() => a.document("absent")), 404, 1202);
    await one.step(() => a.save({ _key: "fine" }));
    await fails(one.step(() => b.save({})), 400, 1652);
    await one.commit();
    assert.equal(await a.documentExists("fine"), true);

    // It lives at the coordinator where it began; the other passes on.
    const far = await other.beginTransaction({ write: "accounts" });
    await db.transaction(far.id).step(() => a.save({ _key: "far" }));
    await db.transaction(far.id).commit();
    assert.equal(await a.documentExists("far"), true);

    await fails(db.beginTransaction({ write: "none" }), 404, 1203);
    assert.equal(await db.transaction("nonsense").exists(), false);
    await fails(db.transaction("12345").get(), 404, 1655);
    await fails(db.transaction("12345").commit(), 404, 1655);
    await fails(db.beginTransaction({ write: a }, { lockTimeout: -1 }),
        400, 10);
    await db.beginTransaction({ write: a });
    await other.beginTransaction({ write: b });
    const reader = await db.beginTransaction({ read: a });
    await db.request({ method: "DELETE", path: "/_api/transaction/write" });
    assert.deepEqual(await running(db), [{ id: reader.id, state: "running" }]);
    await reader.abort();
    assert.deepEqual(await running(db), []);
}

async function conflicts() {
    const a = await fresh("accounts");
    await a.saveAll([{ _key: "x", n: 0 }, { _key: "y", n: 0 }]);
    const one = await db.beginTransaction({ write: a });
    const two = await db.beginTransaction({ write: a });
    await one.step(() => a.update("x", { n: 1 }));
    await fails(two.step(() => a.update("x", { n: 2 })), 409, 1200);
    await fails(a.update("x", { n: 3 }), 409, 1200);
    await two.step(() => a.update("y", { n: 2 }));
    await two.commit();
    await one.commit();
    assert.deepEqual([(await a.document("x")).n, (await a.document("y")).n],
        [1, 2]);
    // retryOnConflict of the driver waits for the other to end
    const three = await db.beginTransaction({ write: a });
    await three.step(() => a.update("x", { n: 3 }));
    const later = db.request({ method: "PATCH",
        path: "/_api/document/accounts/x", body: { n: 4 },
        retryOnConflict: 1000 });
    await three.commit();
    assert.equal((await later)._key, "x");
    assert.equal((await a.document("x")).n, 4);
    // Not done, and not taken for something weaker.
    await fails(db.beginTransaction({ exclusive: a }), 501, 501);
}

async function jobs() {
    const c = await fresh("later", { numberOfShards: 2 });
    const ended = async (job) => {
        for (let i = 0; i < 400 && !job.isLoaded; i++) {
            await job.load();
            await new Promise((resolve) => setTimeout(resolve, 25));
        }
        return job.result;
    };
    const save = await db.createJob(() => c.save({ _key: "a" },
        { returnNew: true }));
    assert.match(save.id, /^\d+$/);
    assert.equal((await ended(save)).new._key, "a");
    // Each result can be fetched once.
    await fails(db.job(save.id).load(), 404, 404);
    const index = await db.createJob(() => c.ensureIndex(
        { type: "persistent", fields: ["x"], name: "x" }));
    has(await ended(index), { name: "x", isNewlyCreated: true });
    const query = await db.createJob(() => db.query(aql`
        FOR d IN ${c} RETURN d._key`));
    assert.deepEqual(await (await ended(query)).all(), ["a"]);
    // Errors come when the result is fetched.
    const bad = await db.createJob(() => c.document("none"));
    while (!await bad.getCompleted())
        await new Promise((resolve) => setTimeout(resolve, 25));
    assert.deepEqual(await db.listCompletedJobs(), [bad.id]);
    assert.deepEqual(await db.listPendingJobs(), []);
    // Any coordinator passes on to the one that has it.
    await fails(other.request({ method: "PUT", path: `/_api/job/${bad.id}` }),
        404, 1202);
    await fails(db.job(bad.id).deleteResult(), 404, 404);
    await fails(db.job("12345").cancel(), 404, 404);
    await db.createJob(() => c.count());
    await db.deleteAllJobResults();
    assert.deepEqual(await db.listCompletedJobs(), []);
    // No result wanted.
    const sent = await db.request({ method: "POST",
        path: "/_api/document/later", body: { _key: "b" },
        headers: { "x-arango-async": "true" } }, (res) => res);
    assert.equal(sent.status, 202);
    assert.equal(sent.headers.get("x-arango-async-id"), null);
    while (!await c.documentExists("b"))
        await new Promise((resolve) => setTimeout(resolve, 25));
}

async function roundRobin() {
    const both = new Database({ url: config.urls, auth, databaseName: DB,
        loadBalancingStrategy: "ROUND_ROBIN" });
    const c = both.collection("robin");
    await c.create({ numberOfShards: 3, replicationFactor: 2 });
    await everywhere("robin");
    await Promise.all(Array.from({ length: 50 }, (_, n) =>
        c.save({ _key: `k${n}`, n })));
    const docs = await Promise.all(Array.from({ length: 50 }, (_, n) =>
        c.document(`k${n}`)));
    assert.deepEqual(docs.map((d) => d.n), docs.map((_, n) => n));
    // A cursor goes back to where it is, whoever is next in turn.
    const q = await both.query(aql`FOR d IN ${c} RETURN d._key`,
        { batchSize: 6 });
    assert.equal(new Set(await q.all()).size, 50);
    const trx = await both.beginTransaction({ write: c });
    for (let n = 0; n < 4; n++)
        await trx.step(() => c.update(`k${n}`, { n: -1 }));
    await trx.commit();
    assert.equal((await c.document("k3")).n, -1);
    await c.drop();
    both.close();
}

async function users() {
    const list = await root.listUsers();
    assert.deepEqual(list.map((u) => u.user), ["root"]);
    has(await root.getUser("root"), { user: "root", active: true, extra: {} });
    assert.equal(await root.getUserAccessLevel("root", { database: DB }), "rw");
    assert.equal((await root.getUserDatabases("root"))[DB], "rw");
    await fails(root.getUser("nobody"), 404, 1703);
}

async function leaving() {
    assert.equal(await root.dropDatabase(DB), true);
    await fails(db.listCollections(), 404, 1228);
    assert.deepEqual((await root.listDatabases()), ["_system"]);
    for (const d of [root, db, other])
        d.close();
}

const tests = { loggingIn, theServer, databases, collections,
    propertiesOfData, ...documents, indexes, uniqueIndexes, cursors, queries,
    transactions, conflicts, jobs, roundRobin, users, leaving };

console.log(`1..${Object.keys(tests).length}`);
let number = 0, failed = 0;
for (const [name, test] of Object.entries(tests)) {
    const words = name.replace(/[A-Z]/g, (c) => " " + c.toLowerCase());
    number++;
    try {
        await test();
        console.log(`ok ${number} - arangojs: ${words}`);
    } catch (e) {
        failed++;
        for (const line of String(e.stack).split("\n"))
            console.log(`# ${line}`);
        console.log(`not ok ${number} - arangojs: ${words}`);
    }
}
process.exit(failed ? 1 : 0);
