/*
 * errors.h - arangod's error numbers and what a replicator does about each.
 *
 * The number decides; the HTTP status only where an answer has no number
 * (an answer of a proxy, an empty 503).  Numbers are positive and never mixed
 * with our own negative ones (base/err.h).
 *
 * Facts: lib/Basics/errors.dat and the references' tables of reactions.
 */
#ifndef ARANGO_ERRORS_H
#define ARANGO_ERRORS_H

#include <stdbool.h>

enum arango_errno {
	AERR_NONE			= 0,
	AERR_OUT_OF_MEMORY		= 3,
	AERR_INTERNAL			= 4,
	AERR_NOT_IMPLEMENTED		= 9,
	AERR_BAD_PARAMETER		= 10,
	AERR_FORBIDDEN			= 11,
	AERR_LOCK_TIMEOUT		= 18,
	AERR_REQUEST_CANCELED		= 21,
	AERR_SHUTTING_DOWN		= 30,
	AERR_ONLY_ENTERPRISE		= 31,
	AERR_RESOURCE_LIMIT		= 32,
	AERR_READ_ONLY			= 1004,
	AERR_DUPLICATE_IDENTIFIER	= 1005,
	AERR_CONFLICT			= 1200,
	AERR_DOCUMENT_NOT_FOUND		= 1202,
	AERR_DATA_SOURCE_NOT_FOUND	= 1203,
	AERR_DUPLICATE_NAME		= 1207,
	AERR_ILLEGAL_NAME		= 1208,
	AERR_UNIQUE_CONSTRAINT		= 1210,
	AERR_INDEX_NOT_FOUND		= 1212,
	AERR_DOCUMENT_TOO_LARGE		= 1216,
	AERR_DOCUMENT_KEY_BAD		= 1221,
	AERR_DATABASE_NOT_FOUND		= 1228,
	AERR_DATABASE_NAME_INVALID	= 1229,
	AERR_INVALID_EDGE_ATTRIBUTE	= 1233,
	AERR_WRITE_CONCERN		= 1429,
	AERR_CLUSTER_TIMEOUT		= 1457,
	AERR_SHARD_GONE			= 1464,
	AERR_CONNECTION_LOST		= 1465,
	AERR_CLUSTER_UNSUPPORTED	= 1470,
	AERR_ONLY_ON_COORDINATOR	= 1471,
	AERR_BACKEND_UNAVAILABLE	= 1478,
	AERR_SHARD_LEADER_RESIGNED	= 1491,
	AERR_NOT_LEADER			= 1496,
	AERR_CURSOR_NOT_FOUND		= 1600,
	AERR_QUEUE_FULL			= 21003
};

enum arango_reaction {
	ARANGO_SUCCESS,	/* what was wanted is so already */
	ARANGO_RETRY,	/* the same request again, after a while */
	ARANGO_LEADER,	/* ask who leads now, then again there */
	ARANGO_ELEMENT,	/* that document only: retry it, or resolve the
			 * conflict (1200, 1210) */
	ARANGO_REFUSED,	/* that document, for ever: a dead letter (R17) */
	ARANGO_RESYNC,	/* the object is gone or another: read the truth
			 * again */
	ARANGO_SPLIT,	/* too much at once */
	ARANGO_AUTH,	/* credentials */
	ARANGO_FAIL	/* our bug, or a definition that this server cannot
			 * take: report, stop that object */
};

struct arango_error {
	int			 num;
	const char		*name;		/* "document not found" */
	enum arango_reaction	 reaction;
	bool			 unknown;	/* it may have been executed */
};

/* NULL for a number that is not in the table. */
const struct arango_error *arango_error_find(int num);
/* Never NULL: "error 12345" is called "unknown error". */
const char *arango_error_name(int num);
/*
 * What to do after an answer.  num 0: the status alone decides (2xx is
 * success; 408, 5xx but 501 and 505 retry; 421 leader; 401 auth).  A number
 * that is not in the table goes by the status, too.
 */
enum arango_reaction arango_react(int num, int status);
/* The same for the removal of something: not there (1202, 1212) is success. */
enum arango_reaction arango_react_remove(int num, int status);
/* May a request that was answered so have been executed all the same? */
bool	arango_outcome_unknown(int num, int status);
const char *arango_reaction_name(enum arango_reaction r);

#endif
