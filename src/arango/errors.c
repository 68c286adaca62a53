/* errors.c - arangod's error numbers; see errors.h */
#include <stddef.h>

#include "arango/errors.h"
#include "base/err.h"

/*
 * In the order of numbers.  SUCCESS stands for nothing here: what is a
 * success depends on what was asked for.
 */
static const struct arango_error table[] = {
	{ 3, "out of memory", ARANGO_RETRY, true },
	{ 4, "internal error", ARANGO_RETRY, true },
	{ 9, "not implemented", ARANGO_FAIL, false },
	{ 10, "bad parameter", ARANGO_FAIL, false },
	{ 11, "forbidden", ARANGO_FAIL, false },
	{ 17, "illegal number", ARANGO_FAIL, false },
	{ 18, "lock timeout", ARANGO_RETRY, false },
	{ 21, "request canceled", ARANGO_RETRY, true },
	{ 22, "debug", ARANGO_FAIL, false },
	{ 28, "locked", ARANGO_RETRY, false },
	{ 29, "deadlock", ARANGO_RETRY, false },
	{ 30, "shutting down", ARANGO_RETRY, true },
	{ 31, "only in the enterprise edition", ARANGO_FAIL, false },
	{ 32, "resource limit", ARANGO_SPLIT, false },
	{ 36, "disabled", ARANGO_FAIL, false },
	{ 37, "malformed JSON", ARANGO_FAIL, false },
	{ 38, "starting up", ARANGO_RETRY, false },
	{ 400, "bad request", ARANGO_FAIL, false },
	{ 401, "unauthorized", ARANGO_AUTH, false },
	{ 403, "forbidden", ARANGO_FAIL, false },
	{ 404, "not found", ARANGO_FAIL, false },
	{ 405, "method not supported", ARANGO_FAIL, false },
	{ 412, "precondition failed", ARANGO_FAIL, false },
	{ 500, "server error", ARANGO_RETRY, true },
	{ 501, "not implemented", ARANGO_FAIL, false },
	{ 503, "service unavailable", ARANGO_RETRY, false },
	{ 600, "corrupted JSON", ARANGO_FAIL, false },
	{ 1004, "read only", ARANGO_RETRY, false },
	{ 1005, "duplicate identifier", ARANGO_RESYNC, false },
	{ 1104, "file system full", ARANGO_RETRY, false },
	{ 1200, "conflict", ARANGO_ELEMENT, false },
	{ 1202, "document not found", ARANGO_ELEMENT, false },
	{ 1203, "collection or view not found", ARANGO_RESYNC, false },
	{ 1204, "document handle is missing", ARANGO_FAIL, false },
	{ 1205, "illegal document handle", ARANGO_FAIL, false },
	{ 1207, "duplicate name", ARANGO_RESYNC, false },
	{ 1208, "illegal name", ARANGO_FAIL, false },
	{ 1210, "unique constraint violated", ARANGO_ELEMENT, false },
	{ 1212, "index not found", ARANGO_RESYNC, false },
	{ 1214, "illegal index handle", ARANGO_FAIL, false },
	{ 1216, "document too large", ARANGO_REFUSED, false },
	{ 1218, "type of collection invalid", ARANGO_FAIL, false },
	{ 1220, "attribute parser failed", ARANGO_FAIL, false },
	{ 1221, "illegal document key", ARANGO_REFUSED, false },
	{ 1222, "unexpected document key", ARANGO_REFUSED, false },
	{ 1225, "out of keys", ARANGO_FAIL, false },
	{ 1226, "document key missing", ARANGO_REFUSED, false },
	{ 1227, "invalid document type", ARANGO_REFUSED, false },
	{ 1228, "database not found", ARANGO_RESYNC, false },
	{ 1229, "database name invalid", ARANGO_FAIL, false },
	{ 1230, "only in the system database", ARANGO_FAIL, false },
	{ 1232, "invalid key generator", ARANGO_FAIL, false },
	{ 1233, "invalid edge attribute", ARANGO_REFUSED, false },
	{ 1235, "index creation failed", ARANGO_RESYNC, false },
	{ 1236, "write throttle timeout", ARANGO_RETRY, false },
	{ 1237, "collection type mismatch", ARANGO_FAIL, false },
	{ 1238, "collection not loaded", ARANGO_RESYNC, false },
	{ 1302, "try again", ARANGO_RETRY, false },
	{ 1303, "busy", ARANGO_RETRY, false },
	{ 1305, "input/output error", ARANGO_RETRY, true },
	{ 1406, "unexpected marker", ARANGO_FAIL, false },
	{ 1408, "invalid transaction state", ARANGO_FAIL, false },
	{ 1414, "start tick not present", ARANGO_RESYNC, false },
	{ 1429, "write concern not fulfilled", ARANGO_RETRY, false },
	{ 1446, "not a follower", ARANGO_LEADER, false },
	{ 1447, "follower transaction commit performed", ARANGO_RETRY, true },
	{ 1448, "precondition of creation failed", ARANGO_RETRY, false },
	{ 1449, "server unknown", ARANGO_RETRY, false },
	{ 1450, "too many shards", ARANGO_FAIL, false },
	{ 1454, "could not create database in Plan", ARANGO_RETRY, true },
	{ 1456, "could not create collection in Plan", ARANGO_RETRY, true },
	{ 1457, "cluster timeout", ARANGO_RETRY, true },
	{ 1458, "could not remove collection in Plan", ARANGO_RETRY, true },
	{ 1460, "could not create index in Plan", ARANGO_RETRY, true },
	{ 1461, "could not drop index in Plan", ARANGO_RETRY, true },
	{ 1462, "could not remove database in Plan", ARANGO_RETRY, true },
	{ 1463, "could not change Current", ARANGO_RETRY, true },
	{ 1464, "shard gone", ARANGO_RESYNC, false },
	{ 1465, "connection lost in the cluster", ARANGO_RETRY, true },
	{ 1466, "must not specify a key", ARANGO_FAIL, false },
	{ 1467, "contradicting answers", ARANGO_FAIL, true },
	{ 1468, "sharding attributes missing", ARANGO_REFUSED, false },
	{ 1469, "sharding attributes changed", ARANGO_REFUSED, false },
	{ 1470, "unsupported in a cluster", ARANGO_FAIL, false },
	{ 1471, "only on a coordinator", ARANGO_FAIL, false },
	{ 1477, "only on a DB-server", ARANGO_FAIL, false },
	{ 1478, "backend unavailable", ARANGO_RETRY, true },
	{ 1482, "could not create view in Plan", ARANGO_RETRY, true },
	{ 1483, "view exists in Plan", ARANGO_RETRY, true },
	{ 1484, "chain of distributeShardsLike", ARANGO_RESYNC, false },
	{ 1485, "others are sharded like it", ARANGO_RESYNC, false },
	{ 1486, "unknown distributeShardsLike", ARANGO_RESYNC, false },
	{ 1487, "not enough DB-servers", ARANGO_FAIL, false },
	{ 1488, "could not drop follower", ARANGO_RETRY, false },
	{ 1489, "leader refuses replication", ARANGO_FAIL, false },
	{ 1490, "follower refuses operation", ARANGO_FAIL, false },
	{ 1491, "shard leader resigned", ARANGO_LEADER, false },
	{ 1492, "agency communication failed", ARANGO_RETRY, true },
	{ 1495, "leadership challenge ongoing", ARANGO_LEADER, false },
	{ 1496, "not the leader", ARANGO_LEADER, false },
	{ 1497, "could not create view in Plan", ARANGO_RETRY, true },
	{ 1498, "view id exists", ARANGO_FAIL, false },
	{ 1499, "could not drop collection", ARANGO_RETRY, true },
	{ 1500, "query killed", ARANGO_RETRY, true },
	{ 1600, "cursor or batch not found", ARANGO_RESYNC, false },
	{ 1620, "schema violated", ARANGO_REFUSED, false },
	{ 1621, "bad schema", ARANGO_FAIL, false },
	{ 1652, "collection not in transaction", ARANGO_FAIL, false },
	{ 1653, "disallowed in transaction", ARANGO_FAIL, false },
	{ 1654, "transaction aborted", ARANGO_RETRY, false },
	{ 1655, "transaction not found", ARANGO_RETRY, false },
	{ 1702, "user exists", ARANGO_RESYNC, false },
	{ 1703, "user not found", ARANGO_RESYNC, false },
	{ 1924, "graph not found", ARANGO_RESYNC, false },
	{ 1925, "graph exists", ARANGO_RESYNC, false },
	{ 1942, "collection is part of a graph", ARANGO_RESYNC, false },
	{ 3009, "service not found", ARANGO_RESYNC, false },
	{ 4003, "key breaks the rules of smart collections", ARANGO_REFUSED,
	    false },
	{ 21003, "queue full", ARANGO_RETRY, false },
	{ 21004, "queue time violated", ARANGO_RETRY, false },
	{ 21005, "too many threads", ARANGO_RETRY, false }
};

const struct arango_error *
arango_error_find(int num)
{
	size_t	 lo = 0, hi = NITEMS(table), mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (table[mid].num == num)
			return &table[mid];
		if (table[mid].num < num)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const char *
arango_error_name(int num)
{
	const struct arango_error	*e = arango_error_find(num);

	return e != NULL ? e->name : "unknown error";
}

static enum arango_reaction
react_status(int status)
{
	if (status >= 200 && status < 300)
		return ARANGO_SUCCESS;
	switch (status) {
	case 0:
	case 408:
	case 410:
	case 429:
		return ARANGO_RETRY;
	case 401:
		return ARANGO_AUTH;
	case 413:
		return ARANGO_SPLIT;
	case 421:
		return ARANGO_LEADER;
	case 501:
	case 505:
		return ARANGO_FAIL;
	default:
		return status >= 500 ? ARANGO_RETRY : ARANGO_FAIL;
	}
}

enum arango_reaction
arango_react(int num, int status)
{
	const struct arango_error	*e;

	/* A 401 also carries 11, which elsewhere means another thing. */
	if (status == 401)
		return ARANGO_AUTH;
	if (num == 0 || (e = arango_error_find(num)) == NULL)
		return react_status(status);
	return e->reaction;
}

enum arango_reaction
arango_react_remove(int num, int status)
{
	if (num == AERR_DOCUMENT_NOT_FOUND || num == AERR_INDEX_NOT_FOUND)
		return ARANGO_SUCCESS;
	return arango_react(num, status);
}

bool
arango_outcome_unknown(int num, int status)
{
	const struct arango_error	*e;

	if (num != 0 && (e = arango_error_find(num)) != NULL)
		return e->unknown;
	switch (status) {
	case 408:
	case 500:
	case 502:	/* a proxy lost the server behind it */
	case 504:
		return true;
	default:
		return false;
	}
}

const char *
arango_reaction_name(enum arango_reaction r)
{
	static const char *const names[] = {
		[ARANGO_SUCCESS] = "success", [ARANGO_RETRY] = "retry",
		[ARANGO_LEADER] = "leader", [ARANGO_ELEMENT] = "element",
		[ARANGO_REFUSED] = "refused", [ARANGO_RESYNC] = "resync",
		[ARANGO_SPLIT] = "split", [ARANGO_AUTH] = "auth",
		[ARANGO_FAIL] = "fail"
	};

	return names[r];
}
