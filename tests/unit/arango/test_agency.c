/* test_agency.c - leaders, lost answers, waiting, leases */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/agency.h"
#include "arango/conn.h"
#include "arango/topology.h"
#include "base/err.h"
#include "base/str.h"
#include "ev/fiber.h"
#include "fake.h"
#include "json/get.h"
#include "unit.h"

static struct fake		 lead, follow;
static struct arango		*a;
static struct arango_agency	*ag;

/* How the leader behaves. */
static const char	*read_answer, *write_answer, *poll_answer;
static int		 write_status;
static unsigned		 drop_writes;	/* executed, but the answer is lost */
static bool		 known_to_log, no_poll;
static char		 outside[64];	/* where the follower points to */

static void
config(struct http_req *req)
{
	char	*s = xasprintf("{\"term\":1,\"leaderId\":\"AGNT-1\","
		    "\"commitIndex\":94,\"configuration\":{\"pool\":{"
		    "\"AGNT-1\":\"%s\",\"AGNT-2\":\"%s\"}}}", lead.url,
		    follow.url);

	fake_json(req, 200, s);
	free(s);
}

static void
leader(struct http_req *req, void *arg)
{
	const char	*path = http_req_path(req);

	fake_note(&lead, req);
	if (str_ends_with(path, "/config"))
		config(req);
	else if (str_ends_with(path, "/read"))
		fake_json(req, 200, read_answer);
	else if (str_ends_with(path, "/inquire"))
		fake_json(req, known_to_log ? 200 : 404, known_to_log ?
		    "{\"results\":[77],\"inquired\":true}" :
		    "{\"results\":[0],\"inquired\":true}");
	else if (str_ends_with(path, "/write") && drop_writes > 0) {
		drop_writes--;
		http_req_drop(req);
	} else if (str_ends_with(path, "/write"))
		fake_json(req, write_status, write_answer);
	else if (str_ends_with(path, "/poll") && no_poll)
		fake_json(req, 404, "{\"errorNum\":405}");
	else if (str_ends_with(path, "/poll"))
		fake_json(req, 200, poll_answer);
	else
		fake_json(req, 404, "{}");
}

static void
follower(struct http_req *req, void *arg)
{
	char	*s;

	fake_note(&follow, req);
	if (str_ends_with(http_req_path(req), "/config")) {
		/* It believes that it leads itself. */
		s = xasprintf("{\"leaderId\":\"AGNT-2\",\"commitIndex\":1,"
		    "\"configuration\":{\"pool\":{\"AGNT-1\":\"%s\","
		    "\"AGNT-2\":\"%s\"}}}", lead.url, follow.url);
		fake_json(req, 200, s);
		free(s);
		return;
	}
	s = xasprintf("%s%s", *outside != '\0' ? outside : lead.url,
	    http_req_path(req));
	http_reply_header(req, "Location", s);
	http_reply_bytes(req, 307, NULL, NULL, 0);
	free(s);
}

static void
run(void (*fn)(void *), bool ask_follower)
{
	struct err_msg	 m;

	read_answer = "[{\"arango\":{\"Plan\":{\"Version\":25}}}]";
	write_answer = "{\"results\":[12]}";
	poll_answer = "{\"result\":{\"commitIndex\":99,\"log\":[]}}";
	write_status = 200;
	drop_writes = 0;
	known_to_log = no_poll = false;
	outside[0] = '\0';
	fake_begin();
	fake_start(&lead, leader, NULL);
	fake_start(&follow, follower, NULL);
	a = fake_cluster(lead.url, NULL);
	ag = arango_agency_new(a, NULL);
	arango_agency_set_patience(ag, 1500);
	CU_ASSERT_EQUAL(arango_agency_add(ag, ask_follower ? follow.url :
	    lead.url, &m), 0);
	fake_run(fn, NULL);
	arango_agency_free(&ag);
	arango_free(&a);
	fake_stop(&lead);
	fake_stop(&follow);
	fake_end();
}

/* ---- reading ------------------------------------------------------------ */

static void
do_read(void *arg)
{
	struct json_object	*o;
	struct err_msg		 m;
	int64_t			 v = 0;

	CU_ASSERT_EQUAL(arango_agency_get(ag, "/arango/Plan/Version", &o, &m),
	    0);
	v = json_object_get_int64(o);
	CU_ASSERT_EQUAL(v, 25);
	json_object_put(o);
	CU_ASSERT_STRING_EQUAL(lead.body, "[[\"/arango/Plan/Version\"]]");
	CU_ASSERT_EQUAL(arango_agency_get(ag, "/arango/Plan/None/x", &o, &m),
	    0);
	CU_ASSERT_PTR_NULL(o);
}

static void
test_read(void)
{
	run(do_read, false);
}

static void
test_redirect(void)
{
	run(do_read, true);
	CU_ASSERT_EQUAL(fake_count(&follow, "/read"), 1);
	CU_ASSERT_EQUAL(fake_count(&lead, "/read"), 2);
}

/* A superuser token must not follow any redirection. */
static struct fake	 stranger;

static void
be_strange(struct http_req *req, void *arg)
{
	fake_note(&stranger, req);
	fake_json(req, 200, "[{\"arango\":{\"Plan\":666}}]");
}

static void
do_stranger(void *arg)
{
	struct json_object	*o = NULL;
	struct err_msg		 m;

	fake_start(&stranger, be_strange, NULL);
	str_copy(outside, sizeof(outside), stranger.url);
	/* Either it says so, or it has found the leader in another way. */
	if (arango_agency_get(ag, "/arango/Plan", &o, &m) == 0)
		CU_ASSERT_TRUE(json_object_is_type(o, json_type_object))
	json_object_put(o);
	CU_ASSERT_EQUAL(stranger.requests, 0);
	CU_ASSERT_TRUE(fake_count(&follow, "/read") > 0);
	fake_stop(&stranger);
}

static void
test_stranger(void)
{
	run(do_stranger, true);
}

static void
do_lies(void *arg)
{
	static const char *const bad[] = { "{}", "[]", "[1]", "[{},{}]", "7",
	    "nonsense", "" };
	struct arango_topology	*t;
	struct json_object	*o;
	struct err_msg		 m;
	size_t			 i;

	for (i = 0; i < NITEMS(bad); i++) {
		read_answer = bad[i];
		CU_ASSERT_EQUAL(arango_agency_get(ag, "/x", &o, &m),
		    ERR_FORMAT);
		CU_ASSERT_TRUE(arango_topology_read(ag, &t, &m) < 0);
	}
}

static void
test_lies(void)
{
	run(do_lies, false);
}

/* ---- writing ------------------------------------------------------------ */

static int
set_x(uint64_t *index, struct err_msg *m)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct json_object	*v = json_object_new_string("a\"b");
	int			 r;

	agency_trx_set(&t, "/arangodb/x", v, 30);
	agency_trx_increment(&t, "/arangodb/n");
	agency_trx_pre_old(&t, "/arangodb/x", v);
	agency_trx_pre_empty(&t, "/arangodb/y", true);
	r = arango_agency_write(ag, &t, index, m);
	agency_trx_free(&t);
	json_object_put(v);
	return r;
}

static void
do_write(void *arg)
{
	struct json_object	*o;
	struct err_msg		 m;
	uint64_t		 n = 0;

	CU_ASSERT_EQUAL(set_x(&n, &m), 0);
	CU_ASSERT_EQUAL(n, 12);
	CU_ASSERT_EQUAL(json_parse(lead.body, strlen(lead.body), &o, &m), 0);
	CU_ASSERT_EQUAL(json_int_or(json_object_array_get_idx(
	    json_object_array_get_idx(o, 0), 0), "/arangodb/x.ttl", 0), 30);
	CU_ASSERT_STRING_EQUAL(json_string_or(json_object_array_get_idx(
	    json_object_array_get_idx(o, 0), 1), "/arangodb/x.old", ""),
	    "a\"b");
	CU_ASSERT_TRUE(json_bool_or(json_object_array_get_idx(
	    json_object_array_get_idx(o, 0), 1), "/arangodb/y.oldEmpty",
	    false));
	json_object_put(o);
	write_status = 412;
	write_answer = "{\"results\":[0]}";
	CU_ASSERT_EQUAL(set_x(&n, &m), ERR_BAD_STATE);
	write_status = 200;
	CU_ASSERT_EQUAL(set_x(&n, &m), ERR_FORMAT);
}

static void
test_write(void)
{
	run(do_write, false);
}

static void
do_lost(void *arg)
{
	struct err_msg	 m;
	uint64_t	 n = 0;

	/* It was executed: found by its client id, not sent again. */
	drop_writes = 1;
	known_to_log = true;
	CU_ASSERT_EQUAL(set_x(&n, &m), 0);
	CU_ASSERT_EQUAL(n, 77);
	CU_ASSERT_EQUAL(fake_count(&lead, "/write"), 1);
	CU_ASSERT_EQUAL(fake_count(&lead, "/inquire"), 1);
	/* It was not: sent again. */
	drop_writes = 1;
	known_to_log = false;
	CU_ASSERT_EQUAL(set_x(&n, &m), 0);
	CU_ASSERT_EQUAL(n, 12);
	CU_ASSERT_EQUAL(fake_count(&lead, "/write"), 3);
}

static void
test_lost(void)
{
	run(do_lost, false);
}

/* ---- waiting ------------------------------------------------------------ */

static const char *const	 prefixes[] = { "/arango/Plan",
				    "/arango/Sync/UserVersion", NULL };

static void
do_wait(void *arg)
{
	struct agency_watch	 w = AGENCY_WATCH_INIT(prefixes);
	struct err_msg		 m;

	CU_ASSERT_EQUAL(arango_agency_wait(ag, &w, 100, &m), 1);
	CU_ASSERT_EQUAL(w.next, 95);	/* from the leader's configuration */
	poll_answer = "{\"result\":{\"commitIndex\":96,\"log\":[{\"index\":"
	    "96,\"query\":{\"/arango/Planet\":1,\"arango/Current\":{}}}]}}";
	CU_ASSERT_EQUAL(arango_agency_wait(ag, &w, 60, &m), 0);
	CU_ASSERT_EQUAL(w.next, 97);
	poll_answer = "{\"result\":{\"commitIndex\":97,\"log\":[{\"index\":"
	    "97,\"query\":{\"arango/Plan/Version\":{\"op\":\"increment\"}}}"
	    "]}}";
	CU_ASSERT_EQUAL(arango_agency_wait(ag, &w, 60, &m), 1);
	poll_answer = "{\"result\":{\"commitIndex\":98,\"log\":[{\"index\":"
	    "98,\"query\":{\"/arango\":{\"op\":\"delete\"}}}]}}";
	CU_ASSERT_EQUAL(arango_agency_wait(ag, &w, 60, &m), 1);
	poll_answer = "{\"result\":{\"commitIndex\":500,\"firstIndex\":1,"
	    "\"readDB\":{\"arango\":{}}}}";
	CU_ASSERT_EQUAL(arango_agency_wait(ag, &w, 60, &m), 1);
	CU_ASSERT_EQUAL(w.next, 501);
	/* Nonsense: an error, and after it everything is new. */
	poll_answer = "{\"result\":{\"commitIndex\":\"x\"}}";
	CU_ASSERT_TRUE(arango_agency_wait(ag, &w, 60, &m) < 0);
	CU_ASSERT_EQUAL(arango_agency_wait(ag, &w, 60, &m), 1);
	/* No poll there. */
	no_poll = true;
	CU_ASSERT_EQUAL(arango_agency_wait(ag, &w, 60, &m), 1);
	CU_ASSERT_TRUE(w.by_version);
	CU_ASSERT_EQUAL(arango_agency_wait(ag, &w, 60, &m), 0);
	read_answer = "[{\"arango\":{\"Plan\":{\"Version\":26}}}]";
	CU_ASSERT_EQUAL(arango_agency_wait(ag, &w, 2000, &m), 1);
}

static void
test_wait(void)
{
	run(do_wait, false);
}

/* ---- lease -------------------------------------------------------------- */

static void
do_lease(void *arg)
{
	struct agency_lease	 l = { .path = "/arangodb/leader", .ttl_s = 1 };
	struct json_object	*other = NULL;
	struct err_msg		 m;

	l.value = json_object_new_string("me");
	CU_ASSERT_EQUAL(arango_lease_take(ag, &l, false, NULL, &m), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(lead.body, "\"oldEmpty\":true"));
	CU_ASSERT_PTR_NOT_NULL(strstr(lead.body, "\"ttl\":1"));
	CU_ASSERT_TRUE(arango_lease_is_held(&l, loop_now_ms(fake_loop)));
	CU_ASSERT_EQUAL(arango_lease_renew(ag, &l, &m), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(lead.body, "\"old\":\"me\""));
	CU_ASSERT_FALSE(arango_lease_is_held(&l, loop_now_ms(fake_loop) +
	    1001));
	/* Somebody else's. */
	write_status = 412;
	write_answer = "{\"results\":[0]}";
	CU_ASSERT_EQUAL(arango_lease_renew(ag, &l, &m), ERR_BAD_STATE);
	CU_ASSERT_FALSE(l.held);
	read_answer = "[{\"arangodb\":{\"leader\":\"you\"}}]";
	CU_ASSERT_EQUAL(arango_lease_take(ag, &l, true, &other, &m),
	    ERR_EXISTS);
	CU_ASSERT_STRING_EQUAL(json_object_get_string(other), "you");
	json_object_put(other);
	/* Our own, from before a restart: the write is tried with it. */
	read_answer = "[{\"arangodb\":{\"leader\":\"me\"}}]";
	CU_ASSERT_EQUAL(arango_lease_take(ag, &l, false, NULL, &m),
	    ERR_EXISTS);
	CU_ASSERT_EQUAL(arango_lease_take(ag, &l, true, NULL, &m),
	    ERR_BAD_STATE);
	CU_ASSERT_PTR_NOT_NULL(strstr(lead.body, "\"old\":\"me\""));
	/* Run out: not even asked. */
	l.held = true;
	l.until_ms = loop_now_ms(fake_loop);
	lead.requests = 0;
	CU_ASSERT_EQUAL(arango_lease_renew(ag, &l, &m), ERR_BAD_STATE);
	CU_ASSERT_EQUAL(lead.requests, 0);
	CU_ASSERT_EQUAL(arango_lease_release(ag, &l, &m), 0);
	json_object_put(l.value);
}

static void
test_lease(void)
{
	run(do_lease, false);
}

UNIT_MAIN("arango agency",
    { "one consistent read", test_read },
    { "a follower's redirection is followed", test_redirect },
    { "but not to somebody who is no agent", test_stranger },
    { "lies are errors", test_lies },
    { "writes with preconditions", test_write },
    { "a write whose answer was lost happens once", test_lost },
    { "waiting for changes, by poll or by version", test_wait },
    { "a lease is taken, renewed, lost", test_lease })
