/* create_tls_keystore.c - arangosync create tls keystore */
#include "cli/create.h"

static int
run(const struct conf *c, void *context)
{
	return cli_fail("Java keystores were for Kafka brokers and are not "
	    "made; use \"create tls certificate\", and keytool(1) where a "
	    "broker needs a keystore.");
}

/* Those of the original, so that its users get this sentence. */
static const struct conf_option options[] = {
	OPTION_FILE("cacert", "tls-ca.crt", "Not used."),
	OPTION_FILE("cakey", "tls-ca.key", "Not used."),
	OPTION_FILE("keystore", "tls.jks", "Not used."),
	{ .name = "keystore-password", .type = CONF_STRING,
	  .flags = CONF_SECRET | CONF_NO_FILE, .help = "Not used." },
	{ .name = "alias", .type = CONF_STRING, .flags = CONF_NO_FILE,
	  .help = "Not used." },
	OPTION_HOST,
	OPTION_EMAIL,
	OPTION_VALIDFOR(VALID_SERVER),
	OPTION_CURVE("P256"),
	{ .name = NULL }
};
static const struct conf_option *const tables[] = { options, NULL };

const struct conf_command cli_create_tls_keystore = {
	.words = "create tls keystore", .tables = tables, .run = run,
	.hidden = 1, .summary = "Tell what to use instead."
};
