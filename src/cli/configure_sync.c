/* configure_sync.c - arangosync configure sync */
#include <stdlib.h>
#include <string.h>

#include "certs/certs.h"
#include "cli/remote.h"
#include "http/ossl.h"
#include "json/get.h"

/* Files are read, and found wrong, here: a master would say so much later. */
static int
read_authentication(const struct conf *c, struct cert_pair *pair,
    struct buf *ca, struct err_msg *m)
{
	const char	*keyfile = conf_string(c, "master.keyfile");
	const char	*cacert = conf_string(c, "source.cacert");
	struct buf	 text = BUF_INIT;
	int		 r;

	if ((r = cert_read_file(keyfile, &text, m)) == 0)
		r = cert_keyfile_parse(keyfile, &text, pair, m);
	if (text.data != NULL)
		OPENSSL_cleanse(text.data, text.cap);
	buf_reset(&text);
	if (r == 0 && (r = cert_read_file(cacert, &text, m)) == 0)
		r = cert_authorities_parse(cacert, &text, ca, m);
	buf_free(&text);
	return r;
}

static char *
make_request(const struct conf *c, struct cert_pair *pair, struct buf *ca)
{
	struct json_object	*o = json_object_new_object(), *a, *auth;
	const char *const	*e;
	char			*text;

	a = json_object_new_array();
	for (e = conf_list(c, "source.endpoint", NULL); *e != NULL; e++)
		json_object_array_add(a, json_object_new_string(*e));
	auth = json_object_new_object();
	json_set_string(auth, "clientCertificate", buf_cstr(&pair->cert));
	json_set_string(auth, "clientKey", buf_cstr(&pair->key));
	json_set_string(auth, "clientToken", "");
	json_set_string(auth, "caCertificate", buf_cstr(ca));
	json_set(o, "source", a);
	json_set(o, "authentication", auth);
	if (conf_bool(c, "allow-mass-drop"))
		json_set_bool(o, "allow-mass-drop", true);
	text = json_to_text(o);
	json_object_put(o);
	return text;
}

static int
body(struct remote *r, const struct conf *c)
{
	struct cert_pair	 pair = CERT_PAIR_INIT;
	struct buf		 ca = BUF_INIT;
	struct remote_req	 q = { .method = "POST",
				    .path = "/_api/sync" };
	struct err_msg		 m = { "" };
	char			*json = NULL;
	int			 err;

	if ((err = read_authentication(c, &pair, &ca, &m)) == 0) {
		q.body = json = make_request(c, &pair, &ca);
		err = remote_call(r, &q, NULL, &m);
	}
	if (json != NULL)
		OPENSSL_cleanse(json, strlen(json));
	free(json);
	cert_pair_free(&pair);
	buf_free(&ca);
	if (err != 0)
		return remote_fail("cannot configure synchronization", err,
		    &m);
	printf("Synchronization activated.\n");
	return 0;
}

static int
run(const struct conf *c, void *context)
{
	return remote_run(c, body);
}

static const struct conf_option options[] = {
	{ .name = "source.endpoint", .type = CONF_ENDPOINT_LIST,
	  .flags = CONF_REQUIRED | CONF_NO_FILE, .min = 8629,
	  .group = "Source",
	  .help = "Endpoints of the masters of the source." },
	{ .name = "source.cacert", .type = CONF_STRING, .arg = "FILE",
	  .flags = CONF_REQUIRED | CONF_FILE_PATH | CONF_NO_FILE,
	  .help = "Certificates of the authorities of those masters." },
	{ .name = "master.keyfile", .type = CONF_STRING, .arg = "FILE",
	  .flags = CONF_REQUIRED | CONF_FILE_PATH | CONF_NO_FILE,
	  .help = "Client certificate and key that the target's masters show "
	  "to those of the source." },
	{ .name = "allow-mass-drop", .type = CONF_BOOL, .flags = CONF_NO_FILE,
	  .help = "The source has lost more than half of its collections, and "
	  "that is as it should be: drop them at the target, too." },
	{ .name = NULL }
};
static const struct conf_option *const tables[] = {
	options, remote_options, remote_trace_options, NULL
};

const struct conf_command cli_configure_sync = {
	.words = "configure sync", .tables = tables, .run = run,
	.summary = "Synchronize a datacenter from another one.",
	.help = "Talks to a master of the target. What the target has is "
	"replaced by what the source has, and the target is read-only from "
	"now on. Giving the same command again changes nothing."
};
