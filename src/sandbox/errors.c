/* errors.c - arangod's error numbers as a table */
#include <stddef.h>

#include "base/err.h"
#include "sandbox/errors.h"

static const struct {
	int		 errnum;
	int		 status;
	const char	*text;
} table[] = {
	{ AE_OK, 200, "no error" },
	{ AE_FAILED, 500, "failed" },
	{ AE_OUT_OF_MEMORY, 500, "out of memory" },
	{ AE_INTERNAL, 500, "internal error" },
	{ AE_NOT_IMPLEMENTED, 501, "not implemented" },
	{ AE_BAD_PARAMETER, 400, "bad parameter" },
	{ AE_FORBIDDEN, 403, "forbidden" },
	{ AE_TYPE_ERROR, 400, "type error" },
	{ AE_LOCK_TIMEOUT, 500, "timeout waiting to lock key" },
	{ AE_REQUEST_CANCELED, 410, "request canceled" },
	{ AE_LOCKED, 500, "locked" },
	{ AE_SHUTTING_DOWN, 503, "shutdown in progress" },
	{ AE_ONLY_ENTERPRISE, 501, "only enterprise version" },
	{ AE_RESOURCE_LIMIT, 500, "resource limit exceeded" },
	{ AE_HTTP_BAD_PARAMETER, 400, "bad parameter" },
	{ AE_HTTP_UNAUTHORIZED, 401, "unauthorized" },
	{ AE_HTTP_FORBIDDEN, 403, "forbidden" },
	{ AE_HTTP_NOT_FOUND, 404, "not found" },
	{ AE_HTTP_METHOD_NOT_ALLOWED, 405, "method not supported" },
	{ AE_HTTP_PRECONDITION_FAILED, 412, "precondition failed" },
	{ AE_HTTP_SERVER_ERROR, 500, "internal server error" },
	{ AE_HTTP_NOT_IMPLEMENTED, 501, "not implemented" },
	{ AE_HTTP_SERVICE_UNAVAILABLE, 503, "service unavailable" },
	{ AE_HTTP_CORRUPTED_JSON, 400, "invalid JSON object" },
	{ AE_READ_ONLY, 403, "read only" },
	{ AE_DUPLICATE_IDENTIFIER, 500, "duplicate identifier" },
	{ AE_CONFLICT, 409, "conflict" },
	{ AE_DOCUMENT_NOT_FOUND, 404, "document not found" },
	{ AE_DATA_SOURCE_NOT_FOUND, 404, "collection or view not found" },
	{ AE_COLLECTION_PARAMETER_MISSING, 400,
	    "parameter 'collection' not found" },
	{ AE_DOCUMENT_HANDLE_BAD, 400, "illegal document identifier" },
	{ AE_DUPLICATE_NAME, 409, "duplicate name" },
	{ AE_ILLEGAL_NAME, 400, "illegal name" },
	{ AE_UNIQUE_CONSTRAINT_VIOLATED, 409, "unique constraint violated" },
	{ AE_INDEX_NOT_FOUND, 404, "index not found" },
	{ AE_INDEX_HANDLE_BAD, 400, "bad index id" },
	{ AE_DOCUMENT_TOO_LARGE, 400, "document too large" },
	{ AE_COLLECTION_TYPE_INVALID, 400, "collection type invalid" },
	{ AE_DOCUMENT_KEY_BAD, 400, "illegal document key" },
	{ AE_DOCUMENT_KEY_UNEXPECTED, 400, "unexpected document key" },
	{ AE_OUT_OF_KEYS, 500, "out of keys" },
	{ AE_DOCUMENT_KEY_MISSING, 400, "missing document key" },
	{ AE_DOCUMENT_TYPE_INVALID, 400, "invalid document type" },
	{ AE_DATABASE_NOT_FOUND, 404, "database not found" },
	{ AE_DATABASE_NAME_INVALID, 400, "database name invalid" },
	{ AE_USE_SYSTEM_DATABASE, 403,
	    "operation only allowed in system database" },
	{ AE_INVALID_KEY_GENERATOR, 400, "invalid key generator" },
	{ AE_INVALID_EDGE_ATTRIBUTE, 400,
	    "edge attribute missing or invalid" },
	{ AE_INDEX_CREATION_FAILED, 400, "index creation failed" },
	{ AE_WRITE_CONCERN_NOT_FULFILLED, 503, "write concern not fulfilled" },
	{ AE_TOO_MANY_SHARDS, 400, "too many shards" },
	{ AE_COULD_NOT_CREATE_DATABASE, 500, "could not create database" },
	{ AE_CLUSTER_TIMEOUT, 500, "timeout in cluster operation" },
	{ AE_SHARD_GONE, 500, "no responsible shard found" },
	{ AE_CONNECTION_LOST, 503,
	    "cluster internal HTTP connection broken" },
	{ AE_MUST_NOT_SPECIFY_KEY, 400,
	    "must not specify _key for this collection" },
	{ AE_NOT_ALL_SHARDING_ATTRIBUTES, 400,
	    "not all sharding attributes given" },
	{ AE_MUST_NOT_CHANGE_SHARDING, 400,
	    "must not change the value of a shard key attribute" },
	{ AE_CLUSTER_UNSUPPORTED, 501,
	    "unsupported operation or parameter for clusters" },
	{ AE_ONLY_ON_COORDINATOR, 501,
	    "this operation is only valid on a coordinator in a cluster" },
	{ AE_ONLY_ON_DBSERVER, 501,
	    "this operation is only valid on a DBserver in a cluster" },
	{ AE_BACKEND_UNAVAILABLE, 503,
	    "A cluster backend which was required for the operation could "
	    "not be reached" },
	{ AE_CHAIN_OF_DISTRIBUTESHARDSLIKE, 500,
	    "chain of distributeShardsLike references" },
	{ AE_MUST_NOT_DROP_PROTOTYPE, 500,
	    "must not drop collection while another has a "
	    "distributeShardsLike attribute pointing to it" },
	{ AE_UNKNOWN_DISTRIBUTESHARDSLIKE, 500,
	    "must not have a distributeShardsLike attribute pointing to an "
	    "unknown collection" },
	{ AE_INSUFFICIENT_DBSERVERS, 500,
	    "the number of current dbservers is lower than the requested "
	    "replicationFactor" },
	{ AE_LEADER_REFUSES_REPLICATION, 406,
	    "a shard leader refuses to perform a replication operation" },
	{ AE_FOLLOWER_REFUSES_OPERATION, 406,
	    "a shard follower refuses to perform an operation" },
	{ AE_SHARD_LEADER_RESIGNED, 421,
	    "a (former) shard leader refuses to perform an operation, "
	    "because it has resigned in the meantime" },
	{ AE_AGENCY_COMMUNICATION_FAILED, 500,
	    "some agency operation failed" },
	{ AE_NOT_LEADER, 503, "not a leader" },
	{ AE_QUERY_KILLED, 410, "query killed" },
	{ AE_QUERY_PARSE, 400, "parse error" },
	{ AE_QUERY_EMPTY, 400, "query is empty" },
	{ AE_QUERY_NUMBER_OUT_OF_RANGE, 400, "number out of range" },
	{ AE_QUERY_BIND_PARAMETERS_INVALID, 400,
	    "invalid structure of bind parameters" },
	{ AE_QUERY_BIND_PARAMETER_MISSING, 400,
	    "no value specified for declared bind parameter '%s'" },
	{ AE_QUERY_BIND_PARAMETER_UNDECLARED, 400,
	    "bind parameter '%s' was not declared in the query" },
	{ AE_QUERY_BIND_PARAMETER_TYPE, 400,
	    "bind parameter '%s' has an invalid value or type" },
	{ AE_CURSOR_NOT_FOUND, 404, "cursor not found" },
	{ AE_CURSOR_BUSY, 409, "cursor is busy" },
	{ AE_VALIDATION_FAILED, 400, "schema validation failed" },
	{ AE_VALIDATION_BAD_PARAMETER, 400,
	    "schema validation parameter is invalid" },
	{ AE_TRANSACTION_INTERNAL, 500, "internal transaction error" },
	{ AE_TRANSACTION_UNREGISTERED, 400,
	    "unregistered collection used in transaction" },
	{ AE_TRANSACTION_DISALLOWED, 400,
	    "disallowed operation inside transaction" },
	{ AE_TRANSACTION_ABORTED, 410, "transaction aborted" },
	{ AE_TRANSACTION_NOT_FOUND, 404, "transaction not found" },
	{ AE_USER_INVALID_NAME, 400, "invalid user name" },
	{ AE_USER_DUPLICATE, 409, "duplicate user" },
	{ AE_USER_NOT_FOUND, 404, "user not found" }
};

int
arango_http_status(int errnum, int version)
{
	size_t	 i;

	if (errnum == AE_SHARD_LEADER_RESIGNED && version < 30900)
		return 503;
	for (i = 0; i < NITEMS(table); i++)
		if (table[i].errnum == errnum)
			return table[i].status;
	return 500;
}

const char *
arango_error_text(int errnum)
{
	size_t	 i;

	for (i = 0; i < NITEMS(table); i++)
		if (table[i].errnum == errnum)
			return table[i].text;
	return "unknown error";
}
