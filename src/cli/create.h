/* create.h - what the create commands share; the flags are the original's */
#ifndef CLI_CREATE_H
#define CLI_CREATE_H

#include "certs/certs.h"
#include "cli/cli.h"

/* 15, 2 and 1 years of 365 days. */
#define VALID_AUTHORITY		"131400h"
#define VALID_SERVER		"17520h"
#define VALID_CLIENT		"8760h"

/* Go's longest duration, in ms. */
#define VALID_MAX_MS		((int64_t)2562047 * 3600 * 1000)

#define OPTION_FILE(n, d, h)						\
	{ .name = n, .type = CONF_STRING, .arg = "FILE", .def = d,	\
	  .flags = CONF_FILE_PATH | CONF_NO_FILE, .help = h }
#define OPTION_VALIDFOR(d)						\
	{ .name = "validfor", .type = CONF_DURATION, .def = d,		\
	  .flags = CONF_NO_FILE, .min = 1000, .max = VALID_MAX_MS,	\
	  .help = "Lifetime of the certificate, from now on." }
#define OPTION_CURVE(d)							\
	{ .name = "curve", .type = CONF_ENUM, .def = d,			\
	  .flags = CONF_NO_FILE, .choices = cert_curve_names,		\
	  .help = "Curve of the ECDSA key." }
#define OPTION_HOST							\
	{ .name = "host", .type = CONF_LIST, .arg = "NAME",		\
	  .flags = CONF_NO_FILE, .check = create_check_host,		\
	  .help = "Name or address to put into the certificate." }
#define OPTION_EMAIL							\
	{ .name = "email", .type = CONF_LIST, .arg = "ADDRESS",		\
	  .flags = CONF_NO_FILE, .check = create_check_email,		\
	  .help = "E-mail address to put into the certificate." }

int	create_check_host(const char *value, struct err_msg *m);
int	create_check_email(const char *value, struct err_msg *m);

/* --cert, --key, --validfor, --curve.  Exit codes. */
int	create_authority(const struct conf *c);
/*
 * A certificate from --cacert, --cakey, --host, --email, --validfor and
 * --curve.  0, or an exit code after a sentence.
 */
int	create_signed(const struct conf *c, enum cert_use use,
	    struct cert_pair *pair);
/* The same into --keyfile. */
int	create_keyfile(const struct conf *c, enum cert_use use);
/* 0, or 2 when two of these options (NULL at the end) name one file, or a list
 * was given with nothing in it. */
int	create_check_distinct(const struct conf *c, const char *const *names);

#endif
