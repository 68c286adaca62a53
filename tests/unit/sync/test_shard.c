/* test_shard.c - tests of positions, of resuming, and of the shard table */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ipc/codec.h"
#include "sync/position.h"
#include "sync/shard.h"
#include "unit.h"

/* ---- positions ---------------------------------------------------------- */

static const struct {
	const char	*what;
	struct sync_pos	 a, b;
	bool		 proven;
	enum pos_order	 order;
} orders[] = {
	{ "one start, by tick",
	    { .server = "P1", .reboot_id = 1, .tick = 5 },
	    { .server = "P1", .reboot_id = 1, .tick = 6 }, false, POS_BEFORE },
	{ "the same", { .server = "P1", .reboot_id = 1, .tick = 5 },
	    { .server = "P1", .reboot_id = 1, .tick = 5 }, false, POS_SAME },
	{ "one epoch, by offset: records may end at one tick",
	    { .server = "P1", .reboot_id = 1, .tick = 5, .epoch = 3,
	      .offset = 9 },
	    { .server = "P1", .reboot_id = 1, .tick = 5, .epoch = 3,
	      .offset = 8 }, false, POS_AFTER },
	{ "across epochs by tick, offsets mean nothing",
	    { .server = "P1", .reboot_id = 1, .tick = 7, .epoch = 3,
	      .offset = 9 },
	    { .server = "P1", .reboot_id = 1, .tick = 5, .epoch = 4,
	      .offset = 900 }, false, POS_AFTER },
	{ "another server", { .server = "P1", .reboot_id = 1, .tick = 5 },
	    { .server = "P2", .reboot_id = 1, .tick = 5 }, true,
	    POS_UNRELATED },
	{ "another start", { .server = "P1", .reboot_id = 1, .tick = 5 },
	    { .server = "P1", .reboot_id = 2, .tick = 6 }, false,
	    POS_UNRELATED },
	{ "another start, proven",
	    { .server = "P1", .reboot_id = 1, .tick = 5 },
	    { .server = "P1", .reboot_id = 2, .tick = 6 }, true, POS_BEFORE },
	{ "unknown starts prove nothing", { .server = "P1", .tick = 5 },
	    { .server = "P1", .tick = 6 }, false, POS_UNRELATED },
	{ "another data directory",
	    { .server = "P1", .reboot_id = 1, .server_id = 8, .tick = 5 },
	    { .server = "P1", .reboot_id = 1, .server_id = 9, .tick = 6 },
	    true, POS_UNRELATED },
	{ "none", { .tick = 5 }, { .server = "P1", .tick = 6 }, true,
	    POS_UNRELATED }
};

static void
test_pos_order(void)
{
	size_t		 i;
	enum pos_order	 o, back;

	for (i = 0; i < NITEMS(orders); i++) {
		o = pos_compare(&orders[i].a, &orders[i].b, orders[i].proven);
		back = pos_compare(&orders[i].b, &orders[i].a,
		    orders[i].proven);
		if (o != orders[i].order)
			CU_FAIL(orders[i].what);
		CU_ASSERT_EQUAL(back, o == POS_BEFORE ? POS_AFTER :
		    o == POS_AFTER ? POS_BEFORE : o);
	}
}

static void
test_pos_code(void)
{
	struct shard_record	 rec, back;
	struct buf		 b = BUF_INIT;
	struct rbuf		 m;
	char			 text[POS_TEXT_SIZE];
	size_t			 n;

	memset(&rec, 0, sizeof(rec));
	strcpy(rec.cid, "10049");
	strcpy(rec.target_cid, "77");
	strcpy(rec.target_server, "PRMR-T");
	rec.target_reboot = 12;
	rec.leader_changes = 3;
	rec.lineage = true;
	strcpy(rec.pos.server, "PRMR-1");
	rec.pos.reboot_id = 7;
	rec.pos.server_id = UINT64_MAX;
	rec.pos.tick = 4711;
	rec.pos.has_proof = true;
	rec.pos.proof_from = 4000;
	rec.pos.proof_tick = 4710;
	rec.pos.proof_crc = 0xdeadbeef;
	rec.pos.epoch = 3;
	rec.pos.offset = 900;
	shard_record_put(&b, &rec);
	memset(&back, 0, sizeof(back));
	m.p = b.data;
	m.left = b.len;
	CU_ASSERT_EQUAL(shard_record_get(&m, &back), 0);
	CU_ASSERT_EQUAL(get_end(&m), 0);
	CU_ASSERT_EQUAL(memcmp(&rec, &back, sizeof(rec)), 0);
	CU_ASSERT_STRING_EQUAL(pos_text(&rec.pos, text),
	    "PRMR-1/7 tick 4711 (queue 3:900)");
	/* every shorter message is refused, and changes nothing */
	for (n = 0; n < b.len; n++) {
		m.p = b.data;
		m.left = n;
		CU_ASSERT_TRUE(shard_record_get(&m, &back) < 0);
	}
	CU_ASSERT_EQUAL(memcmp(&rec, &back, sizeof(rec)), 0);
	b.data[0]++;
	m.p = b.data;
	m.left = b.len;
	CU_ASSERT_EQUAL(shard_record_get(&m, &back), ERR_VERSION);
	pos_clear(&back.pos);
	CU_ASSERT_TRUE(pos_is_none(&back.pos));
	CU_ASSERT_STRING_EQUAL(pos_text(&back.pos, text), "none");
	buf_free(&b);
}

/* ---- resuming ----------------------------------------------------------- */

#define RECORD(repair)	{ .cid = "10", .target_cid = "20",		\
	.target_server = "T1", .target_reboot = 3,			\
	.leader_changes = 2, .repairing = repair, .lineage = true,	\
	.pos = { .server = "P1", .reboot_id = 5, .server_id = 9,	\
	.tick = 1000 } }
/* cid, target's cid, leader, its changes; reboot id, directory, proven, gap;
 * first and last tick, server of the target and its reboot id */
#define SAME_IDS	"10", "20", "P1", 2
#define SAME_START	5, 9, false, false
#define ALL_LOG		1, 5000, "T1", 3

static const struct {
	const char		*what;
	struct shard_record	 rec;
	struct shard_evidence	 have;
	enum shard_resume	 result;
	const char		*says;
} resumes[] = {
	{ "all the same", RECORD(false), { SAME_IDS, SAME_START, ALL_LOG },
	    RESUME_YES, "" },
	{ "the log ends where we are", RECORD(false),
	    { SAME_IDS, SAME_START, 1, 1000, NULL, 0 }, RESUME_YES, "" },
	{ "restarted, proven", RECORD(false),
	    { SAME_IDS, 6, 9, true, false, ALL_LOG }, RESUME_YES, "" },
	{ "a server that does not tell its directory",
	    RECORD(false), { SAME_IDS, 5, 0, false, false, ALL_LOG },
	    RESUME_YES, "" },
	{ "nobody counts the changes of leaders", RECORD(false),
	    { "10", "20", "P1", 0, SAME_START, ALL_LOG }, RESUME_YES, "" },
	{ "no position", { .cid = "10", .target_cid = "20" },
	    { SAME_IDS, SAME_START, ALL_LOG }, RESUME_NO_RECORD, "no record" },
	{ "a repair had begun", RECORD(true),
	    { SAME_IDS, SAME_START, ALL_LOG }, RESUME_NO_RECORD, "not ended" },
	{ "dropped and made again", RECORD(false),
	    { "11", "20", "P1", 2, SAME_START, ALL_LOG },
	    RESUME_OTHER_INCARNATION, "filled from 10" },
	{ "gone at the source", RECORD(false),
	    { NULL, "20", "P1", 2, SAME_START, ALL_LOG },
	    RESUME_OTHER_INCARNATION, "none" },
	{ "made again at the target", RECORD(false),
	    { "10", "21", "P1", 2, SAME_START, ALL_LOG },
	    RESUME_OTHER_TARGET, "record is of 20" },
	{ "the target was not looked at", RECORD(false),
	    { "10", NULL, "P1", 2, SAME_START, ALL_LOG }, RESUME_YES, "" },
	{ "nobody leads", RECORD(false),
	    { "10", "20", NULL, 2, SAME_START, ALL_LOG },
	    RESUME_NO_LEADER, "no server leads" },
	{ "another leads", RECORD(false),
	    { "10", "20", "P2", 2, SAME_START, ALL_LOG },
	    RESUME_OTHER_SERVER, "P2 leads" },
	{ "away and back", RECORD(false),
	    { "10", "20", "P1", 4, SAME_START, ALL_LOG },
	    RESUME_LEADER_CHANGED, "came back" },
	{ "another data directory, whatever was proven",
	    RECORD(false), { SAME_IDS, 5, 8, true, false, ALL_LOG },
	    RESUME_OTHER_DIRECTORY, "filled from 9" },
	{ "restarted, not proven", RECORD(false),
	    { SAME_IDS, 6, 9, false, false, ALL_LOG },
	    RESUME_REBOOTED, "rebootId 6" },
	{ "its start is not known", RECORD(false),
	    { SAME_IDS, 0, 9, false, false, ALL_LOG },
	    RESUME_REBOOTED, "rebootId 0" },
	{ "purged", RECORD(false),
	    { SAME_IDS, SAME_START, 1001, 5000, "T1", 0 },
	    RESUME_LOG_PURGED, "begins at 1001" },
	{ "ahead: a backup was restored", RECORD(false),
	    { SAME_IDS, SAME_START, 1, 999, "T2", 9 },
	    RESUME_AHEAD_OF_SOURCE, "ends at 999" },
	{ "a server of the target restarted (R14)", RECORD(false),
	    { SAME_IDS, SAME_START, 1, 5000, "T1", 4 },
	    RESUME_TARGET_REBOOTED, "T1 of the target" },
	{ "another one leads there: it was in sync", RECORD(false),
	    { SAME_IDS, SAME_START, 1, 5000, "T2", 4 }, RESUME_YES, "" },
	{ "a gap", RECORD(false), { SAME_IDS, 5, 9, false, true, ALL_LOG },
	    RESUME_GAP,
	    "gap behind" }
};

static void
test_resume(void)
{
	enum shard_resume	 r;
	struct err_msg		 m;
	size_t			 i;
	unsigned int		 seen = 0;

	for (i = 0; i < NITEMS(resumes); i++) {
		m.text[0] = '\0';
		r = shard_can_resume(&resumes[i].rec, &resumes[i].have, &m);
		seen |= 1U << r;
		if (r != resumes[i].result ||
		    strstr(m.text, resumes[i].says) == NULL) {
			printf("# %s: %s: %s\n", resumes[i].what,
			    shard_resume_name(r), m.text);
			CU_FAIL("another answer");
		}
		CU_ASSERT_EQUAL(r == RESUME_YES, m.text[0] == '\0');
	}
	CU_ASSERT_EQUAL(seen, (1U << RESUME_COUNT) - 1);
	CU_ASSERT_EQUAL(shard_can_resume(NULL, &resumes[0].have, NULL),
	    RESUME_NO_RECORD);
}

/* ---- the table ---------------------------------------------------------- */

/*
 * A story is told in words: EVENT>STEP, both ends go along unless the word
 * begins with "R:" (receive only).  "!" before an event: refused.  "@N" lets
 * time pass to N seconds after the last word, and feeds timeout when due.
 */
static const struct {
	const char	*what, *words;
} stories[] = {
	{ "a pair that resumes",
	    "start>subscribe subscribed>resume? resume-yes>running" },
	{ "an empty target shard: the dump",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-empty>copy copied>replay "
	    "caught-up>running" },
	{ "a filled one: compared, surplus removed, the rest copied",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-filled>compare "
	    "differs>remove-surplus !same removed>copy copied>replay "
	    "caught-up>running" },
	{ "rounds of pairs: the time is that of one, for both passes",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-filled>compare "
	    "differs>remove-surplus @1700>remove-surplus "
	    "differs>remove-surplus @1700>remove-surplus removed>copy "
	    "differs>copy @1700>copy differs>copy @1700>copy copied>replay "
	    "caught-up>running" },
	{ "a round that takes too long: begun again",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-filled>compare "
	    "differs>remove-surplus @1799>remove-surplus @2>snapshot" },
	{ "compared and equal",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-filled>compare same>replay "
	    "caught-up>running" },
	{ "a dump that is cut at 30 minutes goes on by comparison (R9)",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-empty>copy @1799>copy "
	    "@2>snapshot snapshot>cut cut-filled>compare "
	    "differs>remove-surplus removed>copy copied>replay "
	    "caught-up>running" },
	{ "a snapshot that is lost",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-filled>compare "
	    "interrupted>snapshot snapshot>cut" },
	{ "over quota in a repair: detached, finished, refilled",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-empty>copy over-quota>copy "
	    "copied>replay refilled>replay caught-up>running" },
	{ "over quota and the log is gone: once more when it is finished (R9)",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-empty>copy over-quota>copy "
	    "wal-gone>copy copied>snapshot snapshot>cut cut-filled>compare "
	    "same>replay caught-up>running" },
	/* 3.6, one for each edge */
	{ "leader moves while running: repair against the new one (R5)",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "leader-moved>leader-moved !caught-up leader-found>needs-repair "
	    "place>snapshot snapshot>cut cut-filled>compare same>replay "
	    "caught-up>running" },
	{ "leader moves in the middle of a copy",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-empty>copy "
	    "leader-moved>leader-moved leader-moved>leader-moved "
	    "leader-found>needs-repair" },
	{ "DB-server restarts, history proven: nothing happens to it",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "link-lost>subscribe subscribed>resume? resume-yes>running" },
	{ "DB-server restarts, history not proven",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "history-lost>needs-repair place>snapshot" },
	{ "WAL was pruned under a running pair",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "wal-gone>needs-repair place>snapshot" },
	{ "WAL was pruned while detached",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "over-quota>detached wal-gone>needs-repair" },
	{ "hot backup restored at the source: ahead of it",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "link-lost>subscribe subscribed>resume? resume-no>needs-repair" },
	{ "shard moved at the target: another server, the same stream",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "R:target-moved>running" },
	{ "shard moved at the target in a repair: again",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-empty>copy "
	    "target-moved>snapshot" },
	{ "DB-server of the target restarts: compared at a cut (R14)",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "target-rebooted>needs-repair place>snapshot snapshot>cut "
	    "cut-filled>compare same>replay caught-up>running" },
	{ "it restarts before the pair resumes: then it does not",
	    "start>subscribe target-rebooted>subscribe subscribed>resume? "
	    "resume-yes>needs-repair place>snapshot snapshot>cut "
	    "cut-filled>compare same>replay caught-up>running" },
	{ "collection dropped: the plan of the structure takes the shard",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "dropped>dropped leader-moved>dropped cancel>cancelling "
	    "drained>inactive" },
	{ "dropped while it was copied",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-empty>copy dropped>dropped "
	    "!copied cancel>cancelling" },
	{ "target shard made again: repaired from nothing",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "target-gone>needs-repair place>snapshot snapshot>cut "
	    "cut-empty>copy" },
	{ "a truncate that cannot be mapped is compared (R12)",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "unmapped>needs-repair" },
	{ "suspects are due (R16), or routine",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "verify>needs-repair place>snapshot snapshot>cut "
	    "cut-filled>compare same>replay caught-up>running" },
	{ "detached and refilled",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "over-quota>detached !caught-up refilled>running" },
	{ "the link breaks in a repair: subscribed anew",
	    "start>subscribe subscribed>resume? resume-no>needs-repair "
	    "place>snapshot snapshot>cut cut-empty>copy link-lost>subscribe "
	    "subscribed>resume? resume-no>needs-repair" },
	{ "nobody answers",
	    "start>subscribe @59>subscribe @2>subscribe @59>subscribe "
	    "subscribed>resume? @121>subscribe" },
	{ "failed, and tried again after a minute",
	    "start>subscribe subscribed>resume? resume-yes>running "
	    "fail>failed-retry link-lost>failed-retry @59>failed-retry "
	    "@2>subscribe" },
	{ "failed and given up", "start>subscribe fail>failed-retry "
	    "cancel>inactive" },
	{ "cancelled at any time",
	    "start>subscribe cancel>cancelling cancel>cancelling "
	    "drained>inactive start>subscribe subscribed>resume? "
	    "cancel>cancelling @19>cancelling @2>inactive" },
	{ "what makes no sense is refused",
	    "!drained !subscribed !caught-up !timeout start>subscribe "
	    "!start !copied !place" }
};

static int
find_name(const char *(*name)(int), int n, const char *text)
{
	int	 i;

	for (i = 0; i < n; i++)
		if (strcmp(name(i), text) == 0)
			return i;
	printf("# no such name: %s\n", text);
	return -1;
}

static const char *
name_of_event(int i)
{
	return shard_event_name((enum shard_event)i);
}

static const char *
name_of_step(int i)
{
	return shard_step_name((enum shard_step)i);
}

static unsigned int changes;

static void
on_change(void *arg, const struct shard *s, enum shard_step old,
    enum shard_event event)
{
	changes++;
	CU_ASSERT_STRING_NOT_EQUAL(shard_event_name(event), "?");
	CU_ASSERT_STRING_NOT_EQUAL(shard_step_name(old), "?");
	CU_ASSERT_STRING_EQUAL(s->reason, "because 7");
}

/* Returns false at the first word that is not as told. */
static bool
tell_word(struct shard *s, char *word, uint64_t *now)
{
	enum shard_action	 act;
	char			*to = strchr(word, '>');
	bool			 refused = *word == '!';
	int			 ev, step, r;

	if (to != NULL)
		*to++ = '\0';
	if (*word == '@') {
		*now += strtoul(word + 1, NULL, 10) * 1000;
		if (shard_is_due(s, *now) && shard_event(s, SHARD_EV_TIMEOUT,
		    *now, &act, "because %d", 7) != 0)
			return false;
	} else {
		ev = find_name(name_of_event, SHARD_EV_COUNT,
		    word + (refused ? 1 : 0));
		if (ev < 0)
			return false;
		r = shard_event(s, (enum shard_event)ev, *now, &act,
		    "because %d", 7);
		if (refused)
			return r == ERR_BAD_STATE;
		if (r != 0 || act == SHARD_DO_REFUSE || act != s->action)
			return false;
	}
	step = find_name(name_of_step, SHARD_STEP_COUNT, to);
	return (int)s->step == step;
}

static void
tell(size_t n, enum shard_end end)
{
	struct shard	 s;
	uint64_t	 now = 1000;
	char		*copy, *word, *save = NULL, text[64];

	shard_init(&s, end);
	s.changed = on_change;
	copy = xstrdup(stories[n].words);
	for (word = strtok_r(copy, " ", &save); word != NULL;
	    word = strtok_r(NULL, " ", &save)) {
		if (strncmp(word, "R:", 2) == 0) {
			word += 2;
			if (end == SHARD_SEND)
				continue;
		}
		snprintf(text, sizeof(text), "%s", word);
		if (!tell_word(&s, word, &now)) {
			printf("# %s: at \"%s\": %s\n", stories[n].what, text,
			    shard_step_name(s.step));
			CU_FAIL("another step");
			break;
		}
	}
	free(copy);
}

static void
test_stories(void)
{
	size_t		 i;

	for (i = 0; i < NITEMS(stories); i++) {
		tell(i, SHARD_SEND);
		tell(i, SHARD_RECEIVE);
	}
	CU_ASSERT_TRUE(changes > 100);
}

/* What must hold of the table as such. */
static void
test_table(void)
{
	static const enum shard_event	 everywhere[] = {
		SHARD_EV_CANCEL, SHARD_EV_DROPPED
	};
	const struct shard_edge	*e;
	bool			 has[SHARD_STEP_COUNT][SHARD_EV_COUNT] = {
				    { false } };
	bool			 reached[SHARD_STEP_COUNT] = { false };
	size_t			 i, n, k;

	e = shard_edges(&n);
	for (i = 0; i < n; i++) {
		if (has[e[i].from][e[i].event]) {
			printf("# twice: %s %s\n",
			    shard_step_name(e[i].from),
			    shard_event_name(e[i].event));
			CU_FAIL("an edge twice");
		}
		has[e[i].from][e[i].event] = true;
		reached[e[i].next] = true;
		CU_ASSERT_STRING_NOT_EQUAL(shard_action_name(e[i].send), "?");
		/* a step with a deadline says what happens then */
		if (e[i].deadline_ms != 0 && e[i].deadline_ms != SHARD_KEEP) {
			for (k = 0; k < n; k++)
				if (e[k].from == e[i].next &&
				    e[k].event == SHARD_EV_TIMEOUT)
					break;
			CU_ASSERT_TRUE(k < n);
		}
	}
	for (i = 0; i < SHARD_STEP_COUNT; i++) {
		CU_ASSERT_TRUE(reached[i]);
		for (k = 0; k < NITEMS(everywhere); k++)
			if (!has[i][everywhere[k]]) {
				printf("# %s without %s\n",
				    shard_step_name((enum shard_step)i),
				    shard_event_name(everywhere[k]));
				CU_FAIL("an event that nobody takes");
			}
		/* the link and the leader may go at any time of an active
		 * pair */
		if (i != SHARD_INACTIVE) {
			CU_ASSERT_TRUE(has[i][SHARD_EV_LINK_LOST]);
			CU_ASSERT_TRUE(has[i][SHARD_EV_LEADER_MOVED]);
			CU_ASSERT_TRUE(has[i][SHARD_EV_FAIL]);
		}
	}
	CU_ASSERT_EQUAL(shard_step_state(SHARD_DETACHED), SHARD_STATE_RUNNING);
	CU_ASSERT_STRING_EQUAL(shard_state_name(shard_step_state(SHARD_COPY)),
	    "initial-sync");
}

UNIT_MAIN("shard",
    { "positions are compared within one history only", test_pos_order },
    { "records survive coding, damaged ones are refused", test_pos_code },
    { "every reason not to resume", test_resume },
    { "stories of pairs, both ends", test_stories },
    { "the table is whole", test_table })
