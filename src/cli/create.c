/* create.c - what the create commands share */
#include <arpa/inet.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/create.h"
#include "http/ossl.h"

int
create_check_host(const char *value, struct err_msg *m)
{
	struct in6_addr	 a;
	const char	*s;

	if (inet_pton(AF_INET6, value, &a) == 1)
		return 0;
	if (strlen(value) > CERT_HOST_MAX_BYTES)
		return err_set(m, ERR_USAGE, "is too long for a host");
	for (s = value; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-._*", *s) == NULL)
			return err_set(m, ERR_USAGE, "must be a name or an "
			    "address, without scheme, port and brackets");
	return 0;
}

int
create_check_email(const char *value, struct err_msg *m)
{
	const char	*s;

	if (strlen(value) > CERT_HOST_MAX_BYTES)
		return err_set(m, ERR_USAGE, "is too long for an address");
	for (s = value; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return err_set(m, ERR_USAGE, "must be an e-mail "
			    "address in ASCII");
	return 0;
}

int
create_check_distinct(const struct conf *c, const char *const *names)
{
	static const char *const	 lists[] = { "host", "email" };
	size_t				 i, j;

	/* a variable of a script that is not set: not what was meant */
	for (i = 0; i < NITEMS(lists); i++)
		if (conf_has(c, lists[i]) && conf_is_set(c, lists[i]) &&
		    conf_list(c, lists[i], NULL)[0] == NULL)
			return cli_usage(c, "--%s needs a value", lists[i]);
	for (i = 0; names[i] != NULL; i++)
		for (j = i + 1; names[j] != NULL; j++)
			if (strcmp(conf_string(c, names[i]),
			    conf_string(c, names[j])) == 0)
				return cli_usage(c,
				    "--%s and --%s name the same file",
				    names[i], names[j]);
	return 0;
}

static void
fill_opts(const struct conf *c, enum cert_use use, struct cert_opts *o)
{
	memset(o, 0, sizeof(*o));
	o->use = use;
	o->curve = (enum cert_curve)conf_enum(c, "curve");
	o->valid_s = conf_duration_ms(c, "validfor") / 1000;
	if (conf_has(c, "host")) {
		o->hosts = conf_list(c, "host", NULL);
		o->emails = conf_list(c, "email", NULL);
	}
}

int
create_authority(const struct conf *c)
{
	static const char *const	 files[] = { "cert", "key", NULL };
	const char		*cert = conf_string(c, "cert");
	const char		*key = conf_string(c, "key");
	struct cert_pair	 pair = CERT_PAIR_INIT;
	struct cert_opts	 o;
	struct err_msg		 m = { "" };
	int			 r;

	if ((r = create_check_distinct(c, files)) != 0)
		return r;
	fill_opts(c, CERT_AUTHORITY, &o);
	if ((r = cert_create(&o, NULL, &pair, &m)) == 0)
		r = cert_write_pair(&pair, cert, key, &m);
	cert_pair_free(&pair);
	if (r != 0)
		return cli_fail("%s", m.text);
	printf("Created CA certificate & key in %s, %s\n"
	    "Make sure to store these files in a secure location.\n", cert,
	    key);
	return 0;
}

int
create_signed(const struct conf *c, enum cert_use use, struct cert_pair *pair)
{
	struct cert_ca		*ca = NULL;
	struct cert_opts	 o;
	struct err_msg		 m = { "" };
	int			 r;

	fill_opts(c, use, &o);
	if ((r = cert_ca_load(conf_string(c, "cacert"),
	    conf_string(c, "cakey"), &ca, &m)) == 0)
		r = cert_create(&o, ca, pair, &m);
	cert_ca_free(&ca);
	return r == 0 ? 0 : cli_fail("%s", m.text);
}

int
create_keyfile(const struct conf *c, enum cert_use use)
{
	static const char *const	 files[] = {
		"keyfile", "cacert", "cakey", NULL
	};
	const char		*path = conf_string(c, "keyfile");
	struct cert_pair	 pair = CERT_PAIR_INIT;
	struct buf		 text = BUF_INIT;
	struct err_msg		 m = { "" };
	int			 r;

	if ((r = create_check_distinct(c, files)) != 0)
		return r;
	if ((r = create_signed(c, use, &pair)) == 0) {
		cert_keyfile_text(&pair, &text);
		if (cert_write_file(path, &text, 0600, &m) != 0)
			r = cli_fail("%s", m.text);
	}
	if (text.data != NULL)
		OPENSSL_cleanse(text.data, text.cap);
	buf_free(&text);
	cert_pair_free(&pair);
	if (r == 0)
		printf("Created keyfile in %s\n"
		    "Make sure to store this file in a secure location.\n",
		    path);
	return r;
}
