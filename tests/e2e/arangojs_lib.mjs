// arangojs_lib.mjs - what the tests of arangojs.mjs share.  Configuration, as
// JSON in argv[2]:
//   driver    directory that has node_modules/arangojs
//   urls      of both coordinators
//   user, password, dbservers
//   shortToken    of the user, about to expire
import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";

export const config = JSON.parse(process.argv[2]);
export const { Database, aql } = await import(pathToFileURL(path.join(
    config.driver, "node_modules/arangojs/esm/index.js")).href);

export const auth = { username: config.user, password: config.password };
export const DB = "arangojs";

export const root = new Database({ url: config.urls[0], auth });
export let db;          // a database of its own at the first coordinator
export let other;       // the same at the second

export function use(first, second) {
    db = first;
    other = second;
}

export async function fails(what, code, errorNum, text) {
    let err;
    try {
        await (typeof what === "function" ? what() : what);
    } catch (e) {
        err = e;
    }
    assert.ok(err, `expected ${code}/${errorNum}, but it worked`);
    assert.equal(err.name, "ArangoError", String(err.stack));
    assert.deepEqual([err.code, err.errorNum], [code, errorNum], err.message);
    assert.equal(err.response.status, code);
    if (text)
        assert.match(err.message, text);
    return err;
}

// What has no JSON body: answers to HEAD, 304.
export async function failsBare(what, code) {
    await assert.rejects(what,
        (e) => e.name === "HttpError" && e.code === code);
}

export function has(value, expected) {
    for (const [k, v] of Object.entries(expected))
        assert.deepEqual(value[k], v, `${k}: ${JSON.stringify(value[k])}`);
}

export async function fresh(name, options) {
    const c = db.collection(name);
    if (await c.exists())
        await c.drop();
    await c.create({ waitForSyncReplication: true, ...options });
    return c;
}

// Until the second coordinator knows the collection, too.
export async function everywhere(name) {
    const both = new Database({ url: config.urls, auth, databaseName: DB });
    await both.waitForPropagation(
        { path: `/_api/collection/${encodeURIComponent(name)}` }, 20000);
    both.close();
}

// Sixty keys, all with n = index.
export function sixty() {
    return Array.from({ length: 60 }, (_, n) => (
        { _key: `k${String(n).padStart(2, "0")}`, n, even: n % 2 === 0 }));
}
