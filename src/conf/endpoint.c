/* endpoint.c - one form for scheme://host:port */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "conf/conf.h"

static const struct {
	const char	*prefix;
	const char	*scheme;
} schemes[] = {
	{ "http://",	"http" },
	{ "https://",	"https" },
	{ "tcp://",	"http" },	/* as arangod's --server.endpoint */
	{ "ssl://",	"https" },
	{ "http+tcp://", "http" },	/* as arangosh's */
	{ "http+ssl://", "https" }
};

#define HOST_MAX_BYTES	255

/* Length of the host at s, brackets included; 0 when it is none. */
static size_t
host_length(const char *s)
{
	size_t	 n;

	if (*s == '[') {
		n = strspn(s + 1, "0123456789abcdefABCDEF:.");
		return n > 0 && s[1 + n] == ']' ? n + 2 : 0;
	}
	for (n = 0; isalnum((unsigned char)s[n]) ||
	    (s[n] != '\0' && strchr("-._", s[n]) != NULL); n++)
		;
	return n;
}

int
conf_endpoint_normalize(const char *s, unsigned default_port, char **text)
{
	char		 host[HOST_MAX_BYTES + 1];
	uint64_t	 port = default_port;
	size_t		 i, n;

	for (i = 0; i < NITEMS(schemes); i++)
		if (str_starts_with(s, schemes[i].prefix))
			break;
	if (i == NITEMS(schemes))
		return ERR_FORMAT;
	s += strlen(schemes[i].prefix);
	if ((n = host_length(s)) == 0 || n > HOST_MAX_BYTES)
		return ERR_FORMAT;
	memcpy(host, s, n);
	host[n] = '\0';
	for (s += n; n > 0; n--)
		host[n - 1] = (char)tolower((unsigned char)host[n - 1]);
	if (*s == ':') {
		n = strspn(++s, "0123456789");
		if (str_to_u64_n(s, n, &port) != 0)
			return ERR_FORMAT;
		s += n;
	}
	if (*s == '/')
		s++;
	if (*s != '\0' || port == 0 || port > 65535)
		return ERR_FORMAT;
	*text = xasprintf("%s://%s:%u", schemes[i].scheme, host,
	    (unsigned)port);
	return 0;
}
