/* create_tls_certificate.c - arangosync create tls certificate */
#include <stdio.h>

#include "cli/create.h"

static int
run(const struct conf *c, void *context)
{
	static const char *const	 files[] = {
		"cert", "key", "cacert", "cakey", NULL
	};
	const char		*cert = conf_string(c, "cert");
	const char		*key = conf_string(c, "key");
	struct cert_pair	 pair = CERT_PAIR_INIT;
	struct err_msg		 m = { "" };
	int			 r;

	if ((r = create_check_distinct(c, files)) != 0)
		return r;
	if ((r = create_signed(c, CERT_SERVER, &pair)) == 0 &&
	    cert_write_pair(&pair, cert, key, &m) != 0)
		r = cli_fail("%s", m.text);
	cert_pair_free(&pair);
	if (r == 0)
		printf("Created certificate & key in %s, %s\n"
		    "Make sure to store these files in a secure location.\n",
		    cert, key);
	return r;
}

static const struct conf_option options[] = {
	OPTION_FILE("cacert", "tls-ca.crt",
	    "File that holds the certificate of the authority."),
	OPTION_FILE("cakey", "tls-ca.key",
	    "File that holds the private key of the authority."),
	OPTION_FILE("cert", "tls.crt",
	    "File for the certificate and its chain."),
	OPTION_FILE("key", "tls.key", "File for the private key."),
	OPTION_HOST,
	OPTION_EMAIL,
	OPTION_VALIDFOR(VALID_SERVER),
	OPTION_CURVE("P256"),
	{ .name = NULL }
};
static const struct conf_option *const tables[] = { options, NULL };

const struct conf_command cli_create_tls_certificate = {
	.words = "create tls certificate", .tables = tables, .run = run,
	.summary = "Create a server certificate, in a .crt and a .key file."
};
