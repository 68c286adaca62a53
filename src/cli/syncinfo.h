/*
 * syncinfo.h - what a master says of the synchronization of its datacenter:
 * GET /_api/sync, as structs.
 */
#ifndef CLI_SYNCINFO_H
#define CLI_SYNCINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json_object.h>

#include "base/buf.h"
#include "base/err.h"

enum sync_status {
	SYNC_INACTIVE,
	SYNC_INITIALIZING,
	SYNC_INITIAL,
	SYNC_RUNNING,
	SYNC_CANCELLING,
	SYNC_FAILED,
	SYNC_UNKNOWN,		/* of a newer master */
	SYNC_STATUS_COUNT
};

/* Text belongs to the info; never NULL unless said. */
struct sync_shard {
	const char	*database, *collection;
	int64_t		 index;
	enum sync_status status;
	const char	*status_text, *message;
	int64_t		 delay_ns;
	const char	*last_message, *last_data_change;	/* RFC 3339 */
	bool		 in_sync;
};

/* One direction: from the source, or to one target. */
struct sync_side {
	bool		 incoming;
	const char	*id;		/* of a target; "" */
	const char	*endpoints;	/* "https://a:1, https://b:1"; "" */
	enum sync_status status;
	const char	*status_text;	/* "inactive" for "" */
	bool		 active_barrier;
	struct sync_shard *shards;	/* none with details=short */
	size_t		 n_shards;
	uint64_t	 shards_count;	/* as told, at least n_shards */
	uint64_t	 total;		/* as told, at least shards_count */
	uint64_t	 by_status[SYNC_STATUS_COUNT];	/* of shards[] */
	int64_t		 max_delay_ns;
};

struct sync_info {
	struct sync_side	 in;
	struct sync_side	*out;
	size_t			 n_out;
	bool			 cancellation_aborted;
	struct json_object	*root;
	char			**texts;	/* what was composed */
	size_t			 n_texts;
};

/*
 * Takes o over, also on errors.  0, or ERR_FORMAT with a sentence that names
 * what is wrong.
 */
int	sync_info_parse(struct json_object *o, struct sync_info **info,
	    struct err_msg *m);
void	sync_info_free(struct sync_info **info);

/* "inactive", "initial-sync" ... */
const char *sync_status_name(enum sync_status s);
/* Nothing comes in, and nothing is left of what came. */
bool	sync_side_is_over(const struct sync_side *s);
/* initializing, initial-sync, running */
bool	sync_status_is_active(enum sync_status s);

/*
 * The first line of `get status`: "All shards are running.", or what is wrong
 * and what to do, of the side where it matters most.  Appended, without a
 * newline.
 */
void	sync_info_headline(const struct sync_info *info, struct buf *out);

struct remote;
/* GET /_api/sync; details false: without shards.  As remote_call().  Waits. */
int	sync_info_get(struct remote *r, bool details, struct sync_info **info,
	    struct err_msg *m);
/*
 * Until nothing comes in any more, or the time of remote_set_deadline() is
 * over; what: "stop" in sentences.  Exit code.  Waits.
 */
int	sync_wait_inactive(struct remote *r, const char *what);

#endif
