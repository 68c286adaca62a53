/* create_jwt_secret.c - arangosync create jwt-secret */
#include <stdio.h>

#include "cli/create.h"
#include "http/ossl.h"

static int
run(const struct conf *c, void *context)
{
	const char	*path = conf_string(c, "secret");
	struct buf	 text = BUF_INIT;
	struct err_msg	 m = { "" };
	int		 r;

	cert_secret_text((size_t)conf_int(c, "length"), &text);
	r = cert_write_file(path, &text, 0600, &m);
	OPENSSL_cleanse(text.data, text.cap);
	buf_free(&text);
	if (r != 0)
		return cli_fail("%s", m.text);
	printf("Created JWT secret in %s\n"
	    "Make sure to store this file in a secure location.\n", path);
	return 0;
}

static const struct conf_option options[] = {
	OPTION_FILE("secret", "secret.jwt", "File for the secret."),
	{ .name = "length", .type = CONF_INT, .arg = "BYTES", .def = "32",
	  .flags = CONF_NO_FILE, .min = CERT_SECRET_MIN_BYTES,
	  .max = CERT_SECRET_MAX_BYTES,
	  .help = "Random bytes in the secret; the file has two characters "
	  "for each." },
	{ .name = NULL }
};
static const struct conf_option *const tables[] = { options, NULL };

const struct conf_command cli_create_jwt_secret = {
	.words = "create jwt-secret", .tables = tables, .run = run,
	.summary = "Create a secret that JWTs are signed with."
};
