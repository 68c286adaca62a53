/*
 * fake_shard.h - a DB-server with one shard "s1", in this process: documents,
 * snapshots, a unique index on "u", and troubles on order.
 */
#ifndef TESTS_FAKE_SHARD_H
#define TESTS_FAKE_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "ev/loop.h"

struct fake_shard {
	struct http_server *srv;
	char		 url[64];
	struct map	 docs;		/* key -> JSON text */
	bool		 unique;	/* on the attribute "u" */
	/* Answers of the next writes: so many, with this. */
	unsigned int	 fail;
	int		 fail_status, fail_num;
	bool		 fail_drop;	/* the connection is cut instead */
	bool		 fail_hang;	/* never answered */
	/* Documents with an attribute "bad" get this number. */
	int		 refuse_num;
	/* Looked for when set: documents that were put while another one had
	 * their revision (two keys under one revision share a body, R7). */
	bool		 watch_revs;
	unsigned int	 shared_revs;
	unsigned int	 writes, removals, truncates, snapshots, drops;
	size_t		 largest;	/* elements of a write */
};

void	fake_shard_start(struct fake_shard *f, struct loop *loop);
void	fake_shard_put(struct fake_shard *f, const char *json);
/* "a:rev b:rev" by key, in the order of the alphabet; static storage. */
const char *fake_shard_text(const struct fake_shard *f);

#endif
