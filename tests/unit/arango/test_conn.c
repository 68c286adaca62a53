/* test_conn.c - requests, refusals, tries and credentials */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arango/conn.h"
#include "arango/structure.h"
#include "base/clock.h"
#include "base/err.h"
#include "ev/fiber.h"
#include "fake.h"
#include "http/client.h"
#include "http/jwt.h"
#include "json/get.h"
#include "unit.h"
#include "vpack/vpack.h"

static struct fake	 f, g;
static struct arango	*a;

/* ---- requests and refusals ---------------------------------------------- */

static void
send_vpack_error(struct http_req *req)
{
	struct buf		 b = BUF_INIT;
	struct vp_builder	 vb;

	vpb_init(&vb, &b);
	vpb_open_object(&vb);
	vpb_add_int(&vb, "errorNum", 1203);
	vpb_add_str(&vb, "errorMessage", "not\nthere");
	vpb_close(&vb);
	CU_ASSERT_EQUAL(vpb_end(&vb), 0);
	vpb_free(&vb);
	http_reply(req, 404, "application/x-velocypack", &b);
}

static void
drip(struct http_req *req, void *arg)
{
	static uint8_t	 block[65536];

	while (http_req_is_alive(req))
		if (http_stream_write(req, block, sizeof(block)) >=
		    HTTP_STREAM_HIGH_BYTES)
			return;
	http_stream_end(req);
}

static void
answer(struct http_req *req, void *arg)
{
	const char	*path = http_req_path(req);

	fake_note(&f, req);
	if (strstr(path, "/good") != NULL) {
		http_reply_header(req, "X-Number", "12345678901234567890");
		fake_json(req, 200, "{\"result\":[1]}");
	} else if (strcmp(path, "/busy") == 0 && f.requests < 4)
		fake_json(req, 503, "{\"error\":true,\"errorNum\":21003,"
		    "\"errorMessage\":\"queue full\"}");
	else if (strcmp(path, "/busy") == 0)
		fake_json(req, 200, "{}");
	else if (strcmp(path, "/html") == 0)
		http_reply_bytes(req, 200, "text/html", "<html>hello</html>",
		    18);
	else if (strcmp(path, "/number") == 0)
		fake_json(req, 200, "42");
	else if (strcmp(path, "/proxy") == 0)
		http_reply_bytes(req, 502, "text/html", "<html>no</html>", 15);
	else if (strcmp(path, "/vpack") == 0)
		send_vpack_error(req);
	else if (strcmp(path, "/drop") == 0)
		http_req_drop(req);
	else if (strcmp(path, "/gzip") == 0) {
		http_reply_header(req, "Content-Encoding", "gzip");
		fake_json(req, 200, "{}");
	} else if (strcmp(path, "/endless") == 0) {
		http_stream_begin(req, 200, NULL, -1);
		http_stream_on_room(req, drip, NULL);
		drip(req, NULL);
	} else
		fake_json(req, 409, "{\"error\":true,\"code\":409,"
		    "\"errorNum\":1210,\"errorMessage\":\"unique \\u0001"
		    "constraint\"}");
}

static void
ask(const char *method, const char *path, uint64_t retry_ms,
    struct arango_answer *ans)
{
	struct arango_req	 req = ARANGO_REQ_INIT;

	req.method = method;
	req.path = path;
	req.retry_ms = retry_ms;
	req.max_body = 1 << 20;
	arango_call(a, &req, ans);
}

static void
do_requests(void *arg)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct json_object	*o;
	const char		*headers[] = { "x-more: yes", NULL };
	uint64_t		 n;

	req.method = "POST";
	req.db = "näme/x";
	req.path = "/_api/good?a=b";
	req.body = "[1]";
	req.len = 3;
	req.headers = headers;
	CU_ASSERT_EQUAL(arango_call(a, &req, &ans), 0);
	CU_ASSERT_EQUAL(fake_count(&f, "POST /_db/n%C3%A4me%2Fx/_api/good?a=b"),
	    1);
	CU_ASSERT_STRING_EQUAL(f.body, "[1]");
	CU_ASSERT_STRING_EQUAL(f.type, "application/json");
	CU_ASSERT_STRING_EQUAL(f.authorization, "");
	CU_ASSERT_EQUAL(arango_answer_header_u64(&ans, "x-NUMBER", &n), 0);
	CU_ASSERT_EQUAL(n, 12345678901234567890ULL);
	CU_ASSERT_EQUAL(arango_answer_header_u64(&ans, "x-none", &n),
	    ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(arango_answer_json(&ans, &o), 0);
	json_object_put(o);
	arango_answer_free(&ans);

	ask("GET", "/refuse", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, ERR_HTTP);
	CU_ASSERT_EQUAL(ans.num, 1210);
	CU_ASSERT_PTR_NOT_NULL(strstr(ans.msg.text, "unique  constraint"));
	arango_answer_free(&ans);
	ask("GET", "/vpack", 0, &ans);
	CU_ASSERT_EQUAL(ans.num, 1203);
	CU_ASSERT_PTR_NOT_NULL(strstr(ans.msg.text, "not there"));
	arango_answer_free(&ans);
}

static void
test_requests(void)
{
	fake_begin();
	fake_start(&f, answer, NULL);
	a = fake_cluster(f.url, NULL);
	fake_run(do_requests, NULL);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

static void
do_lies(void *arg)
{
	struct arango_answer	 ans;
	struct json_object	*o;

	ask("GET", "/html", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	CU_ASSERT_EQUAL(arango_answer_json(&ans, &o), ERR_FORMAT);
	arango_answer_free(&ans);
	ask("GET", "/number", 0, &ans);
	CU_ASSERT_EQUAL(arango_answer_json(&ans, &o), ERR_FORMAT);
	arango_answer_free(&ans);
	ask("GET", "/gzip", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, ERR_PROTOCOL);
	arango_answer_free(&ans);
	ask("GET", "/endless", 1000, &ans);
	CU_ASSERT_EQUAL(ans.err, ERR_TOO_BIG);
	arango_answer_free(&ans);
	CU_ASSERT_EQUAL(fake_count(&f, "/endless"), 1);
	ask("POST", "/proxy", 1000, &ans);
	CU_ASSERT_EQUAL(ans.status, 502);
	CU_ASSERT_TRUE(ans.unknown);
	arango_answer_free(&ans);
	CU_ASSERT_EQUAL(fake_count(&f, "/proxy"), 1);
}

static void
test_lies(void)
{
	fake_begin();
	fake_start(&f, answer, NULL);
	a = fake_cluster(f.url, NULL);
	fake_run(do_lies, NULL);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

static void
do_tries(void *arg)
{
	struct arango_answer	 ans;

	ask("POST", "/busy", 10000, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	CU_ASSERT_EQUAL(f.requests, 4);
	arango_answer_free(&ans);
	/* A write whose answer was lost is not sent again. */
	ask("POST", "/drop", 1000, &ans);
	CU_ASSERT_EQUAL(ans.err, ERR_CLOSED);
	CU_ASSERT_TRUE(ans.unknown);
	CU_ASSERT_EQUAL(fake_count(&f, "/drop"), 1);
	arango_answer_free(&ans);
	/* A read is. */
	ask("GET", "/drop", 200, &ans);
	CU_ASSERT_EQUAL(ans.err, ERR_CLOSED);
	CU_ASSERT_FALSE(ans.unknown);
	CU_ASSERT_TRUE(fake_count(&f, "/drop") > 2);
	arango_answer_free(&ans);
}

static void
test_tries(void)
{
	fake_begin();
	fake_start(&f, answer, NULL);
	a = fake_cluster(f.url, NULL);
	fake_run(do_tries, NULL);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

static void
do_next_coordinator(void *arg)
{
	struct arango_answer	 ans;

	/* Nobody listens at the first: even without time for tries. */
	ask("POST", "/good", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	arango_answer_free(&ans);
	ask("POST", "/good", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	CU_ASSERT_EQUAL(fake_count(&f, "/good"), 2);
	arango_answer_free(&ans);
}

static void
test_next_coordinator(void)
{
	struct arango_opts	 o = ARANGO_OPTS_INIT;
	const char		*list[3];

	fake_begin();
	fake_start(&f, answer, NULL);
	fake_start(&g, answer, NULL);
	list[0] = g.url;
	list[1] = f.url;
	list[2] = NULL;
	fake_stop(&g);
	o.endpoints = list;
	a = fake_cluster(NULL, &o);
	fake_run(do_next_coordinator, NULL);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

/* ---- cancelling --------------------------------------------------------- */

static struct arango_cancel	 cancel;

static void
do_cancel(void *arg)
{
	fiber_sleep_ms(20);
	arango_cancel(&cancel);
}

static void
do_wait_for_ever(void *arg)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;

	req.path = "/keep";
	req.cancel = &cancel;
	req.retry_ms = 60 * 1000;
	CU_ASSERT_EQUAL(arango_call(a, &req, &ans), ERR_CANCELLED);
	arango_answer_free(&ans);
	CU_ASSERT_EQUAL(arango_sleep(&cancel, 60 * 1000), ERR_CANCELLED);
}

/* ---- an answer that may be held back ------------------------------------ */

static struct http_call	*shown;
static unsigned		 overs;
static bool		 give_up;

static int
on_shown(void *arg, struct http_call *call, int status)
{
	CU_ASSERT_PTR_NULL(shown);
	shown = call;
	http_call_pause(call);
	return 0;
}

static int
on_bytes(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	CU_ASSERT_PTR_EQUAL(shown, call);
	http_call_pause(call);
	return give_up ? ERR_FORMAT : 0;
}

static void
on_over(void *arg)
{
	CU_ASSERT_PTR_NOT_NULL(shown);
	shown = NULL;
	overs++;
}

/* At any time, as somebody else's timer would. */
static void
pause_and_resume(void *arg)
{
	while (!*(bool *)arg) {
		if (shown != NULL)
			http_call_resume(shown);
		fiber_sleep_ms(1);
		if (shown != NULL)
			http_call_pause(shown);
		fiber_yield();
	}
}

static void
do_hold_back(void *arg)
{
	static const struct {
		const char	*path;
		bool		 cancel, give_up;
		int		 err;
		unsigned	 overs;
	} t[] = {
		{ "/good", false, false, 0, 1 },
		{ "/endless", true, false, ERR_CANCELLED, 1 },
		{ "/endless", false, true, ERR_FORMAT, 1 },
		{ "/none", false, false, ERR_HTTP, 0 }
	};
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	bool			 end = false;
	size_t			 i;

	fiber_spawn(fake_loop, pause_and_resume, &end);
	for (i = 0; i < NITEMS(t); i++) {
		memset(&cancel, 0, sizeof(cancel));
		overs = 0;
		give_up = t[i].give_up;
		req.path = t[i].path;
		req.cancel = &cancel;
		req.on_status = on_shown;
		req.on_data = on_bytes;
		req.on_over = on_over;
		if (t[i].cancel)
			fiber_spawn(fake_loop, do_cancel, NULL);
		CU_ASSERT_EQUAL(arango_call(a, &req, &ans), t[i].err);
		arango_answer_free(&ans);
		CU_ASSERT_PTR_NULL(shown);
		CU_ASSERT_EQUAL(overs, t[i].overs);
	}
	end = true;
	fiber_sleep_ms(10);
}

static void
test_hold_back(void)
{
	fake_begin();
	fake_start(&f, answer, NULL);
	a = fake_cluster(f.url, NULL);
	fake_run(do_hold_back, NULL);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

static void
never(struct http_req *req, void *arg)
{
	*(struct http_req **)arg = req;
}

static void
test_cancel(void)
{
	struct http_req	*kept = NULL;

	memset(&cancel, 0, sizeof(cancel));
	fake_begin();
	fake_start(&f, never, &kept);
	a = fake_cluster(f.url, NULL);
	fiber_spawn(fake_loop, do_cancel, NULL);
	fake_run(do_wait_for_ever, NULL);
	if (kept != NULL)
		http_req_drop(kept);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

/* ---- credentials -------------------------------------------------------- */

static struct jwt_secrets	 accepted;
static int64_t			 clock_ahead_s;

static int64_t
server_now(void)
{
	return (int64_t)(clock_wall_ms() / 1000) + clock_ahead_s;
}

static void
guarded(struct http_req *req, void *arg)
{
	struct jwt_claims	 c;
	const char		*h;
	char			 text[100];
	int			 r = ERR_DENIED;

	fake_note(&f, req);
	h = f.authorization;
	if (strncmp(h, "bearer ", 7) == 0 && (r = jwt_verify(&accepted, h + 7,
	    strlen(h + 7), (double)server_now(), &c)) == 0)
		jwt_claims_free(&c);
	if (r != 0)
		fake_json(req, 401, "{\"error\":true,\"errorNum\":11}");
	else if (strcmp(http_req_path(req), "/_admin/time") == 0) {
		snprintf(text, sizeof(text), "{\"error\":false,\"code\":200,"
		    "\"time\":%lld.25}", (long long)server_now());
		fake_json(req, 200, text);
	} else
		fake_json(req, 200, "{}");
}

static void
use_secret(const char *s)
{
	jwt_secrets_clear(&accepted);
	CU_ASSERT_EQUAL(jwt_secrets_add(&accepted, s, strlen(s), NULL), 0);
}

static void
do_clock(void *arg)
{
	struct arango_answer	 ans;
	struct jwt_claims	 c;
	struct err_msg		 m;
	char			*token;
	bool			 measured;
	int64_t			 off;

	arango_clock_offset_ms(a, &measured);
	CU_ASSERT_FALSE(measured);
	ask("GET", "/x", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	arango_answer_free(&ans);
	off = arango_clock_offset_ms(a, &measured);
	CU_ASSERT_TRUE(measured);
	CU_ASSERT_TRUE(off > (clock_ahead_s - 3) * 1000 &&
	    off < (clock_ahead_s + 3) * 1000);
	/* Tokens for others end in server time. */
	CU_ASSERT_EQUAL(arango_make_token(a, 30 * 1000, &token, &m), 0);
	CU_ASSERT_EQUAL(jwt_verify(&accepted, token, strlen(token),
	    (double)server_now(), &c), 0);
	CU_ASSERT_TRUE(c.superuser && c.exp <= (double)server_now() + 31 &&
	    c.exp >= (double)server_now() + 25);
	jwt_claims_free(&c);
	free(token);
}

static void
test_clock(void)
{
	struct arango_opts	 o = ARANGO_OPTS_INIT;

	fake_begin();
	fake_start(&f, guarded, NULL);
	use_secret("one");
	clock_ahead_s = 7200;	/* tokens of ours would have run out there */
	o.jwt_secret = "one";
	o.jwt_secret_len = 3;
	a = fake_cluster(f.url, &o);
	fake_run(do_clock, NULL);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

static char	 dir[64];

static void
put_file(const char *name, const char *text)
{
	char	 path[128];
	FILE	*fp;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (text == NULL) {
		unlink(path);
		return;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(fp = fopen(path, "w"));
	fputs(text, fp);
	fclose(fp);
}

static void
do_rotation(void *arg)
{
	struct arango_answer	 ans;

	ask("GET", "/x", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	arango_answer_free(&ans);
	/* The second of the folder is the good one now. */
	use_secret("two");
	ask("GET", "/x", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	arango_answer_free(&ans);
	/* One that came into the folder after we read it. */
	use_secret("three");
	put_file("0", "three\n");
	ask("GET", "/x", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	arango_answer_free(&ans);
	/* None of them; and the server is not asked over and over. */
	use_secret("four");
	ask("GET", "/x", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, ERR_DENIED);
	arango_answer_free(&ans);
	f.requests = 0;
	ask("GET", "/x", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, ERR_DENIED);
	CU_ASSERT_EQUAL(f.requests, 1);
	arango_answer_free(&ans);
}

static void
test_rotation(void)
{
	struct arango_opts	 o = ARANGO_OPTS_INIT;

	strcpy(dir, "/tmp/arango-test.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	put_file("1", "one\n");
	put_file("2", "two\n");
	fake_begin();
	fake_start(&f, guarded, NULL);
	use_secret("one");
	clock_ahead_s = 0;
	o.jwt_secret_dir = dir;
	a = fake_cluster(f.url, &o);
	fake_run(do_rotation, NULL);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
	put_file("0", NULL);
	put_file("1", NULL);
	put_file("2", NULL);
	rmdir(dir);
}

static void
do_hand_token(void *arg)
{
	char	*token;

	fiber_sleep_ms(60);
	token = jwt_make_superuser(&accepted, "x", server_now() + 60);
	arango_set_token(a, token, 300);
	free(token);
}

static void
do_outside(void *arg)
{
	struct arango_answer	 ans;

	/* None at all, and none comes. */
	ask("GET", "/x", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, ERR_DENIED);
	arango_answer_free(&ans);
	CU_ASSERT_EQUAL(f.requests, 0);
	/* The first one comes: even what is tried once has waited. */
	fiber_spawn(fake_loop, do_hand_token, NULL);
	ask("GET", "/x", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	arango_answer_free(&ans);
	/* A bad one; a good one comes. */
	arango_set_token(a, "a.b.c", 0);
	fiber_spawn(fake_loop, do_hand_token, NULL);
	ask("GET", "/x", 2000, &ans);
	CU_ASSERT_EQUAL(ans.err, 0);
	arango_answer_free(&ans);
	/* It has run out: nothing is sent. */
	fiber_sleep_ms(320);
	f.requests = 0;
	ask("GET", "/x", 0, &ans);
	CU_ASSERT_EQUAL(ans.err, ERR_DENIED);
	CU_ASSERT_EQUAL(f.requests, 0);
	arango_answer_free(&ans);
}

static void
test_outside(void)
{
	struct arango_opts	 o = ARANGO_OPTS_INIT;

	fake_begin();
	fake_start(&f, guarded, NULL);
	use_secret("one");
	clock_ahead_s = 0;
	o.token_from_outside = true;
	a = fake_cluster(f.url, &o);
	fake_run(do_outside, NULL);
	arango_free(&a);
	fake_stop(&f);
	fake_end();
}

/* ---- servers ------------------------------------------------------------ */

static void
test_servers(void)
{
	struct arango_server	*s, *t;
	struct err_msg		 m;

	fake_begin();
	a = fake_cluster("tcp://[::1]:8530", NULL);
	s = arango_server_at(a, 0);
	CU_ASSERT_STRING_EQUAL(s->url, "http://[::1]:8530");
	CU_ASSERT_EQUAL(arango_server_put(a, "CRDN-1", ARANGO_OTHER_ROLE,
	    "http+tcp://[::1]:8530", &t, &m), 0);
	CU_ASSERT_PTR_EQUAL(s, t);	/* the same, which has a name now */
	CU_ASSERT_STRING_EQUAL(s->id, "CRDN-1");
	CU_ASSERT_EQUAL(arango_server_put(a, "PRMR-1", ARANGO_OTHER_ROLE,
	    "ssl://db.example.org", &t, &m), 0);
	CU_ASSERT_STRING_EQUAL(t->url, "https://db.example.org:8529");
	CU_ASSERT_EQUAL(t->role, ARANGO_DBSERVER);
	CU_ASSERT_EQUAL(arango_server_put(a, "PRMR-1", ARANGO_OTHER_ROLE,
	    "ssl://other:1", &s, &m), 0);
	CU_ASSERT_PTR_EQUAL(s, t);
	CU_ASSERT_STRING_EQUAL(t->url, "https://other:1");
	CU_ASSERT_TRUE(arango_server_put(a, "PRMR-2", ARANGO_OTHER_ROLE,
	    "unix:///x", NULL, &m) < 0);
	CU_ASSERT_PTR_NULL(arango_server_get(a, "PRMR-2"));
	arango_free(&a);
	fake_end();
}

/* ---- error numbers ------------------------------------------------------ */

static void
test_errors(void)
{
	int	 i, last = 0;

	/* Sorted, or half of it would not be found. */
	for (i = 1; i < 30000; i++)
		if (arango_error_find(i) != NULL) {
			CU_ASSERT_EQUAL(arango_error_find(i)->num, i);
			last++;
		}
	CU_ASSERT_TRUE(last > 100);
	CU_ASSERT_EQUAL(arango_react(0, 202), ARANGO_SUCCESS);
	CU_ASSERT_EQUAL(arango_react(1491, 421), ARANGO_LEADER);
	CU_ASSERT_EQUAL(arango_react(1491, 503), ARANGO_LEADER);
	CU_ASSERT_EQUAL(arango_react(0, 421), ARANGO_LEADER);
	CU_ASSERT_EQUAL(arango_react(11, 401), ARANGO_AUTH);
	CU_ASSERT_EQUAL(arango_react(11, 403), ARANGO_FAIL);
	CU_ASSERT_EQUAL(arango_react(1004, 403), ARANGO_RETRY);
	CU_ASSERT_EQUAL(arango_react(1429, 403), ARANGO_RETRY);
	CU_ASSERT_EQUAL(arango_react(32, 500), ARANGO_SPLIT);
	CU_ASSERT_EQUAL(arango_react(0, 413), ARANGO_SPLIT);
	CU_ASSERT_EQUAL(arango_react(1210, 409), ARANGO_ELEMENT);
	CU_ASSERT_EQUAL(arango_react(1221, 400), ARANGO_REFUSED);
	CU_ASSERT_EQUAL(arango_react(98765, 503), ARANGO_RETRY);
	CU_ASSERT_EQUAL(arango_react(98765, 400), ARANGO_FAIL);
	CU_ASSERT_EQUAL(arango_react_remove(1202, 404), ARANGO_SUCCESS);
	CU_ASSERT_EQUAL(arango_react(1202, 404), ARANGO_ELEMENT);
	CU_ASSERT_TRUE(arango_outcome_unknown(1457, 500));
	CU_ASSERT_FALSE(arango_outcome_unknown(21003, 503));
	CU_ASSERT_TRUE(arango_outcome_unknown(0, 504));
	CU_ASSERT_STRING_EQUAL(arango_error_name(1210),
	    "unique constraint violated");
}

static void
test_versions(void)
{
	struct arango_version	 v;

	CU_ASSERT_EQUAL(arango_version_parse("3.11.8", &v), 0);
	CU_ASSERT_TRUE(v.major == 3 && v.minor == 11 && v.patch == 8);
	CU_ASSERT_EQUAL(arango_version_parse("3.8.5-1", &v), 0);
	CU_ASSERT_EQUAL(v.patch, 5);
	CU_ASSERT_EQUAL(arango_version_parse("3.12.0-rc.1", &v), 0);
	CU_ASSERT_TRUE(arango_version_parse("3", &v) < 0);
	CU_ASSERT_TRUE(arango_version_parse("", &v) < 0);
	CU_ASSERT_TRUE(arango_version_parse("3.x", &v) < 0);
	CU_ASSERT_TRUE(arango_version_parse("3.99999999999999.1", &v) < 0);
}

UNIT_MAIN("arango conn",
    { "a request goes out as told, a refusal is understood", test_requests },
    { "lying answers are errors", test_lies },
    { "tried again: what is safe, as long as told", test_tries },
    { "a coordinator that is away is replaced", test_next_coordinator },
    { "cancelling ends calls and sleeps", test_cancel },
    { "an answer is held back until it is over", test_hold_back },
    { "lifetimes are in the cluster's time", test_clock },
    { "the next secret is tried, files are read again", test_rotation },
    { "tokens from outside: waited for, never used too long", test_outside },
    { "servers keep their place when they get names and move", test_servers },
    { "error numbers decide, the status second", test_errors },
    { "versions", test_versions })
