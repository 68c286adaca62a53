/* create_tls_keyfile.c - arangosync create tls keyfile */
#include "cli/create.h"

static int
run(const struct conf *c, void *context)
{
	return create_keyfile(c, CERT_SERVER);
}

static const struct conf_option options[] = {
	OPTION_FILE("cacert", "tls-ca.crt",
	    "File that holds the certificate of the authority."),
	OPTION_FILE("cakey", "tls-ca.key",
	    "File that holds the private key of the authority."),
	OPTION_FILE("keyfile", "tls.keyfile",
	    "File for the certificate, its chain and the private key."),
	OPTION_HOST,
	OPTION_EMAIL,
	OPTION_VALIDFOR(VALID_SERVER),
	OPTION_CURVE("P256"),
	{ .name = NULL }
};
static const struct conf_option *const tables[] = { options, NULL };

const struct conf_command cli_create_tls_keyfile = {
	.words = "create tls keyfile", .tables = tables, .run = run,
	.summary = "Create a server certificate, in a keyfile."
};
