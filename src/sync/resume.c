/* resume.c - can a pair go on, or must it be repaired?  See shard.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ipc/codec.h"
#include "sync/shard.h"

#define RECORD_VERSION	1

const char *
shard_resume_name(enum shard_resume r)
{
	static const char *const	 names[RESUME_COUNT] = {
		"yes", "no record", "other incarnation", "other target",
		"no leader", "other server", "leader changed",
		"other directory", "rebooted", "log purged",
		"ahead of source", "gap", "target rebooted"
	};

	return (size_t)r < NITEMS(names) ? names[r] : "?";
}

/* Does the server's history prove the position?  R5. */
static enum shard_resume
history_refuses(const struct sync_pos *p, const struct shard_evidence *have,
    struct err_msg *m)
{
	if (p->server_id != 0 && have->server_id != 0 &&
	    p->server_id != have->server_id) {
		err_set(m, 0, "the data directory of %s is %" PRIu64
		    " now, the target was filled from %" PRIu64, p->server,
		    have->server_id, p->server_id);
		return RESUME_OTHER_DIRECTORY;
	}
	if (!have->proven && (p->reboot_id != have->reboot_id ||
	    p->reboot_id == 0)) {
		err_set(m, 0, "%s was started again (rebootId %" PRIu64
		    ", the target's position has %" PRIu64 ") and its log "
		    "could not be proven to be the same", p->server,
		    have->reboot_id, p->reboot_id);
		return RESUME_REBOOTED;
	}
	if (p->tick > have->wal_last) {
		err_set(m, 0, "the log of %s ends at %" PRIu64 ", before the "
		    "target's position %" PRIu64, p->server, have->wal_last,
		    p->tick);
		return RESUME_AHEAD_OF_SOURCE;
	}
	if (p->tick < have->wal_first) {
		err_set(m, 0, "the log of %s begins at %" PRIu64 ", after the "
		    "target's position %" PRIu64, p->server, have->wal_first,
		    p->tick);
		return RESUME_LOG_PURGED;
	}
	if (have->gap) {
		err_set(m, 0, "%s has a gap behind the target's position "
		    "%" PRIu64, p->server, p->tick);
		return RESUME_GAP;
	}
	return RESUME_YES;
}

/*
 * A tick has meaning only inside the log of the server that gave it, so who
 * leads is looked at first, the history next, and numbers last: after a
 * leader change they may look plausible and belong to another log.
 */
enum shard_resume
shard_can_resume(const struct shard_record *rec,
    const struct shard_evidence *have, struct err_msg *m)
{
	if (rec == NULL || pos_is_none(&rec->pos)) {
		err_set(m, 0, "the target has no record of what it applied");
		return RESUME_NO_RECORD;
	}
	if (rec->repairing) {
		err_set(m, 0, "a repair of the target had begun and not "
		    "ended");
		return RESUME_NO_RECORD;
	}
	if (have->cid == NULL || strcmp(rec->cid, have->cid) != 0) {
		err_set(m, 0, "the collection is %s at the source now, the "
		    "target was filled from %s",
		    have->cid != NULL ? have->cid : "none", rec->cid);
		return RESUME_OTHER_INCARNATION;
	}
	if (have->target_cid != NULL &&
	    strcmp(rec->target_cid, have->target_cid) != 0) {
		err_set(m, 0, "the collection is %s at the target now, the "
		    "record is of %s", have->target_cid, rec->target_cid);
		return RESUME_OTHER_TARGET;
	}
	if (have->target_server != NULL && rec->target_reboot != 0 &&
	    have->target_reboot != 0 &&
	    strcmp(rec->target_server, have->target_server) == 0 &&
	    rec->target_reboot != have->target_reboot) {
		err_set(m, 0, "%s of the target was started again (rebootId "
		    "%" PRIu64 ", was %" PRIu64 ") and may have lost what it "
		    "had answered", have->target_server, have->target_reboot,
		    rec->target_reboot);
		return RESUME_TARGET_REBOOTED;
	}
	if (have->leader == NULL) {
		err_set(m, 0, "no server leads the shard just now");
		return RESUME_NO_LEADER;
	}
	if (strcmp(rec->pos.server, have->leader) != 0) {
		err_set(m, 0, "%s leads the shard now, the target was filled "
		    "from %s", have->leader, rec->pos.server);
		return RESUME_OTHER_SERVER;
	}
	if (rec->leader_changes != 0 && have->leader_changes != 0 &&
	    rec->leader_changes != have->leader_changes) {
		err_set(m, 0, "the leader of the shard has changed and came "
		    "back to %s (%" PRIu64 " changes, the record has %" PRIu64
		    ")", have->leader, have->leader_changes,
		    rec->leader_changes);
		return RESUME_LEADER_CHANGED;
	}
	return history_refuses(&rec->pos, have, m);
}

void
shard_record_put(struct buf *b, const struct shard_record *rec)
{
	put_u8(b, RECORD_VERSION);
	put_str(b, rec->cid);
	put_str(b, rec->target_cid);
	put_str(b, rec->target_server);
	put_u64(b, rec->target_reboot);
	put_u64(b, rec->leader_changes);
	put_bool(b, rec->lineage);
	put_bool(b, rec->repairing);
	pos_put(b, &rec->pos);
}

int
shard_record_get(struct rbuf *m, struct shard_record *rec)
{
	struct shard_record	 n;
	uint8_t			 version;
	int			 r;

	memset(&n, 0, sizeof(n));
	if ((r = get_u8(m, &version)) != 0)
		return r;
	if (version != RECORD_VERSION)
		return ERR_VERSION;
	if ((r = get_str(m, n.cid, sizeof(n.cid))) != 0 ||
	    (r = get_str(m, n.target_cid, sizeof(n.target_cid))) != 0 ||
	    (r = get_str(m, n.target_server,
	    sizeof(n.target_server))) != 0 ||
	    (r = get_u64(m, &n.target_reboot)) != 0 ||
	    (r = get_u64(m, &n.leader_changes)) != 0 ||
	    (r = get_bool(m, &n.lineage)) != 0 ||
	    (r = get_bool(m, &n.repairing)) != 0 ||
	    (r = pos_get(m, &n.pos)) != 0)
		return r;
	*rec = n;
	return 0;
}
