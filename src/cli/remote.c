/* remote.c - flags and credentials; the fiber of a command */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "certs/certs.h"
#include "cli/progress.h"
#include "cli/remote_priv.h"
#include "http/ossl.h"
#include "http/url.h"
#include "json/get.h"

#define MASTER_PORT	8629
#define TICK_MS		1000

const struct conf_option remote_options[] = {
	{ .name = "master.endpoint", .type = CONF_ENDPOINT_LIST,
	  .flags = CONF_REQUIRED, .min = MASTER_PORT, .group = "Connection",
	  .help = "Endpoints of masters to talk to." },
	{ .name = "master.cacert", .type = CONF_STRING, .arg = "FILE",
	  .flags = CONF_FILE_PATH,
	  .help = "Certificates of the authorities of these masters. Without "
	  "it their certificates are not verified." },
	{ .name = "auth.user", .type = CONF_STRING, .arg = "NAME",
	  .help = "User of the cluster, for basic authentication." },
	{ .name = "auth.password", .type = CONF_STRING, .arg = "TEXT",
	  .flags = CONF_SECRET, .help = "Password of that user; empty unless "
	  "given." },
	{ .name = "auth.keyfile", .type = CONF_STRING, .arg = "FILE",
	  .flags = CONF_FILE_PATH,
	  .help = "Client certificate and key to authenticate with." },
	{ .name = "auth.jwt-secret", .type = CONF_STRING, .arg = "FILE",
	  .flags = CONF_FILE_PATH,
	  .help = "Secret of these masters (their --master.jwt-secret), to "
	  "authenticate with a JWT." },
	{ .name = NULL }
};

const struct conf_option remote_verbose_options[] = {
	{ .name = "verbose", .letter = 'v', .type = CONF_BOOL,
	  .group = "Output", .help = "Print more detail." },
	{ .name = NULL }
};

const struct conf_option remote_trace_options[] = {
	{ .name = "verbose", .letter = 'v', .type = CONF_BOOL,
	  .group = "Output",
	  .help = "Print each request to standard error." },
	{ .name = NULL }
};

const struct conf_option remote_json_options[] = {
	{ .name = "json", .type = CONF_BOOL, .group = "Output",
	  .help = "Print JSON, for programs." },
	{ .name = NULL }
};

static bool
has_table(const struct conf *c, const struct conf_option *table)
{
	const struct conf_option *const	*t;

	for (t = conf_command(c)->tables; *t != NULL; t++)
		if (*t == table)
			return true;
	return false;
}

/* --- flags --------------------------------------------------------------- */

static void
take_endpoints(struct remote *r)
{
	const char *const	*list;
	char			*s;
	size_t			 i, j;

	list = conf_list(r->conf, "master.endpoint", &r->n_endpoints);
	r->endpoints = xcalloc(r->n_endpoints + 1, sizeof(*r->endpoints));
	for (i = 0; i < r->n_endpoints; i++) {
		r->endpoints[i] = xstrdup(list[i]);
		/* Masters share the load of commands. */
		j = rand_below(i + 1);
		s = r->endpoints[i];
		r->endpoints[i] = r->endpoints[j];
		r->endpoints[j] = s;
	}
}

static int
take_user(struct remote *r)
{
	const char	*user = conf_string(r->conf, "auth.user");
	const char	*password = conf_string(r->conf, "auth.password");

	if (user == NULL || *user == '\0') {
		if (password != NULL)
			return cli_usage(r->conf,
			    "--auth.password needs --auth.user");
		return 0;
	}
	if (strchr(user, ':') != NULL)
		return cli_usage(r->conf,
		    "--auth.user: a name cannot hold a colon");
	r->basic = auth_basic_value(user, password == NULL ? "" : password);
	return 0;
}

static int
take_secret(struct remote *r)
{
	const char	*path = conf_string(r->conf, "auth.jwt-secret");
	struct err_msg	 m;

	if (path != NULL && jwt_secrets_add_file(&r->secrets, path, &m) != 0)
		return cli_fail("%s", m.text);
	return 0;
}

/* Normal form of --auth.keyfile: empty without one. */
static int
read_keyfile(const struct conf *c, struct buf *pem, struct err_msg *m)
{
	const char		*path = conf_string(c, "auth.keyfile");
	struct buf		 text = BUF_INIT;
	struct cert_pair	 pair = CERT_PAIR_INIT;
	int			 r;

	if (path == NULL)
		return 0;
	if ((r = cert_read_file(path, &text, m)) == 0 &&
	    (r = cert_keyfile_parse(path, &text, &pair, m)) == 0)
		cert_keyfile_text(&pair, pem);
	if (text.data != NULL)
		OPENSSL_cleanse(text.data, text.cap);
	buf_free(&text);
	cert_pair_free(&pair);
	return r;
}

static int
read_authorities(const struct conf *c, struct buf *pem, struct err_msg *m)
{
	const char	*path = conf_string(c, "master.cacert");
	struct buf	 text = BUF_INIT;
	int		 r;

	if (path == NULL) {
		fputs("arangosync: warning: Accepting unverified master TLS "
		    "certificate. Use --master.cacert.\n", stderr);
		return 0;
	}
	if ((r = cert_read_file(path, &text, m)) == 0)
		r = cert_authorities_parse(path, &text, pem, m);
	buf_free(&text);
	return r;
}

static int
open_client(struct remote *r)
{
	struct http_client_opts	 o = HTTP_CLIENT_OPTS_INIT;
	struct buf		 ca = BUF_INIT, cert = BUF_INIT;
	struct err_msg		 m = { "" };
	int			 err;

	if ((err = read_keyfile(r->conf, &cert, &m)) == 0 &&
	    (err = read_authorities(r->conf, &ca, &m)) == 0) {
		r->verifies = ca.len > 0;
		o.no_verify = !r->verifies;
		o.ca_pem = (const char *)ca.data;
		o.ca_pem_len = ca.len;
		o.cert_pem = (const char *)cert.data;
		o.cert_pem_len = cert.len;
		o.user_agent = "arangosync/" PACKAGE_VERSION;
		err = http_client_new(r->loop, &o, &r->client, &m);
	}
	if (cert.data != NULL)
		OPENSSL_cleanse(cert.data, cert.cap);
	buf_free(&cert);
	buf_free(&ca);
	return err == 0 ? 0 : cli_fail("%s", m.text);
}

/* --- running ------------------------------------------------------------- */

static void
on_signal(void *arg, int signo)
{
	struct remote	*r = arg;

	if (r->cancelled)
		_exit(128 + signo);
	r->cancelled = true;
	remote_cancel_all(r);
	fiber_cond_broadcast(&r->interrupt);
}

static void
on_tick(void *arg)
{
	progress_tick();
}

static void
body(void *arg)
{
	struct remote	*r = arg;

	r->code = r->fn(r, r->conf);
	progress_clear();
	loop_stop(r->loop);
}

static void
remote_close(struct remote *r)
{
	http_client_free(&r->client);
	if (r->ticker != NULL)
		loop_timer_free(&r->ticker);
	if (r->on_int != NULL)
		loop_signal_free(&r->on_int);
	if (r->on_term != NULL)
		loop_signal_free(&r->on_term);
	loop_free(&r->loop);
	while (r->n_endpoints > 0)
		free(r->endpoints[--r->n_endpoints]);
	free(r->endpoints);
	if (r->basic != NULL)
		OPENSSL_cleanse(r->basic, strlen(r->basic));
	free(r->basic);
	jwt_secrets_clear(&r->secrets);
}

int
remote_run(const struct conf *c,
    int (*fn)(struct remote *r, const struct conf *c))
{
	struct remote	*r = xcalloc(1, sizeof(*r));
	int		 code;

	r->conf = c;
	r->fn = fn;
	r->traces = has_table(c, remote_trace_options) &&
	    conf_bool(c, "verbose");
	if ((r->loop = loop_new()) == NULL)
		fatal("cannot make an event loop: %s", strerror(errno));
	take_endpoints(r);
	if ((code = take_user(r)) == 0 && (code = take_secret(r)) == 0 &&
	    (code = open_client(r)) == 0) {
		r->on_int = loop_signal_new(r->loop, SIGINT, on_signal, r);
		r->on_term = loop_signal_new(r->loop, SIGTERM, on_signal, r);
		r->ticker = loop_timer_new(r->loop, on_tick, NULL);
		loop_timer_start_periodic(r->ticker, TICK_MS);
		progress_set("waiting for an answer");
		fiber_spawn(r->loop, body, r);
		loop_run(r->loop);
		code = r->code;
	}
	remote_close(r);
	free(r);
	return code;
}

void
remote_set_deadline(struct remote *r, uint64_t ms)
{
	r->deadline_ms = ms == 0 ? 0 : loop_now_ms(r->loop) + ms;
}

uint64_t
remote_time_left(const struct remote *r)
{
	uint64_t	 now = loop_now_ms(r->loop);

	if (r->deadline_ms == 0)
		return UINT64_MAX;
	return now < r->deadline_ms ? r->deadline_ms - now : 0;
}

int
remote_sleep(struct remote *r, uint32_t ms)
{
	if (!r->cancelled)
		(void)fiber_cond_wait_until(&r->interrupt,
		    loop_now_ms(r->loop) + MIN(ms, remote_time_left(r)));
	return r->cancelled ? ERR_CANCELLED : 0;
}

void
remote_uncancel(struct remote *r)
{
	r->cancelled = false;
}

struct loop *
remote_loop(const struct remote *r)
{
	return r->loop;
}

/* --- what commands share ------------------------------------------------- */

int
remote_fail(const char *what, int err, const struct err_msg *m)
{
	if (err == ERR_CANCELLED)
		return cli_fail("%s: interrupted", what);
	return cli_fail("%s: %s", what, m->text);
}

void
remote_print_json(struct json_object *o)
{
	char	*text = json_to_text(o);

	printf("%s\n", text);
	free(text);
}

char *
remote_shard_path(const char *database, const char *collection, int64_t shard,
    const char *tail)
{
	char	*d = url_encode(database), *c = url_encode(collection), *path;

	path = xasprintf("/_api/sync/database/%s/collection/%s/shard/%lld%s",
	    d, c, (long long)shard, tail);
	free(d);
	free(c);
	return path;
}
