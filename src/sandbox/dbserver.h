/*
 * dbserver.h - the DB-server: what it serves to the other servers of the
 * cluster beyond arangod's API.
 *
 * All of it needs the superuser's JWT and speaks VelocyPack or JSON, as
 * Content-Type and Accept say.
 *
 * POST /_db/<db>/_internal/scan
 *	Documents of a shard in the order of _key, a page at a time.  Body:
 *	  shard		name of the shard
 *	  attr, value	only documents whose attribute (a path "a.b" too)
 *			equals value; absent counts as null
 *	  after		only keys behind this one (of the last page)
 *	  limit		at most that many documents in this page
 *	  bytes		end the page when it has that many bytes (default and
 *			maximum 64 MiB; one document always fits)
 *	  remove	true: remove what is found, like DELETE with
 *			silent=true; needs the leader (421/1491)
 *	  keys		true: "documents" has the keys instead
 *	  count		true: count only, "documents" is empty
 *	Answer 200: {"documents":[...],"count":n,"last":"key","more":bool}; last
 *	is the last key that was looked at, absent when there was none.
 *	Errors as of GET /_api/document: 404/1203, 421/1491, 404/1655.
 *	The request may carry x-arango-trx-id.
 *
 * Stream transactions.  The coordinator sends every request of a transaction
 * with the header
 *	x-arango-trx-id: <id>		the transaction exists on this server
 *	x-arango-trx-id: <id> begin	make it when it does not
 * so that it begins on a server when the first request gets there.  The
 * DB-server knows no collection list; coordinators check 1652.  A transaction
 * that had no request for DBS_TRX_IDLE_MS is aborted: then 410/1654, and
 * 404/1655 once forgotten.  One request at a time (500/28).
 *	GET    /_db/<db>/_api/transaction/<id>	{"result":{"id","status"}}
 *	PUT    /_db/<db>/_api/transaction/<id>	commit, answers after followers
 *	DELETE /_db/<db>/_api/transaction/<id>	abort
 * "status" is running, committed or aborted.
 *
 * Writes of a transaction can be read in it at once and by others after its
 * commit.  A key that an open transaction wrote gives other writers 1200.
 */
#ifndef SANDBOX_DBSERVER_H
#define SANDBOX_DBSERVER_H

#define DBS_TRX_IDLE_MS		60000
#define DBS_TRX_HEADER		"x-arango-trx-id"

struct sb_child;

/* The process; see child.h. */
int	dbserver_main(struct sb_child *c);

#endif
