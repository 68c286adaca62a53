/* test_url.c - tests of http/url and base64 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "http/url.h"
#include "unit.h"

static void
test_good_urls(void)
{
	static const struct {
		const char	*text, *host, *path, *query, *again;
		uint16_t	 port;
		bool		 tls;
	} t[] = {
		{ "http://h", "h", "/", NULL, "http://h/", 80, false },
		{ "HTTPS://h.x:8529/a/b?c=d", "h.x", "/a/b", "c=d",
		  "https://h.x:8529/a/b?c=d", 8529, true },
		{ "http://[::1]:8529/", "::1", "/", NULL, "http://[::1]:8529/",
		  8529, false },
		{ "https://[fe80::1]", "fe80::1", "/", NULL,
		  "https://[fe80::1]/", 443, true },
		{ "http://h?q", "h", "/", "q", "http://h/?q", 80, false },
		{ "http://h/a#frag?x", "h", "/a", NULL, "http://h/a", 80,
		  false }
	};
	struct url	 u;
	char		*s;
	size_t		 i;

	for (i = 0; i < NITEMS(t); i++) {
		CU_ASSERT_EQUAL_FATAL(url_parse(t[i].text, &u, NULL), 0);
		CU_ASSERT_STRING_EQUAL(u.host, t[i].host);
		CU_ASSERT_STRING_EQUAL(u.path, t[i].path);
		CU_ASSERT_EQUAL(u.port, t[i].port);
		CU_ASSERT_EQUAL(u.tls, t[i].tls);
		if (t[i].query == NULL)
			CU_ASSERT_PTR_NULL(u.query)
		else
			CU_ASSERT_STRING_EQUAL(u.query, t[i].query)
		s = url_format(&u, true);
		CU_ASSERT_STRING_EQUAL(s, t[i].again);
		free(s);
		url_free(&u);
	}
}

static void
test_credentials(void)
{
	struct url	 u;
	char		*s;

	CU_ASSERT_EQUAL_FATAL(url_parse("http://ro%6ft:p%40s@h:1/", &u, NULL),
	    0);
	CU_ASSERT_STRING_EQUAL(u.user, "root");
	CU_ASSERT_STRING_EQUAL(u.password, "p@s");
	s = url_format(&u, true);
	CU_ASSERT_STRING_EQUAL(s, "http://root:p%40s@h:1/");
	free(s);
	s = url_format(&u, false);
	CU_ASSERT_STRING_EQUAL(s, "http://h:1/");
	free(s);
	url_free(&u);
}

static void
test_bad_urls(void)
{
	static const char *const t[] = {
		"", "h", "ftp://h/", "http://", "http:///x", "http://:80/",
		"http://h:", "http://h:0/", "http://h:65536/", "http://h:1x/",
		"http://[::1/", "http://[]/", "http://[::1]x/", "http://[g]/",
		"http://h /", "http://h/a b", "http://h/\n", "http://u%zz@h/",
		"http://u%00@h/", "http://a%b/"
	};
	struct url	 u;
	struct err_msg	 m;
	size_t		 i;

	for (i = 0; i < NITEMS(t); i++) {
		m.text[0] = '\0';
		CU_ASSERT(url_parse(t[i], &u, &m) < 0);
		CU_ASSERT(m.text[0] != '\0');
	}
}

static void
test_endpoints(void)
{
	static const struct {
		const char	*endpoint, *url, *back;
		uint16_t	 port;
	} t[] = {
		{ "tcp://127.0.0.1:8529", "http://127.0.0.1:8529",
		  "tcp://127.0.0.1:8529", 0 },
		{ "http+tcp://h:1", "http://h:1", "tcp://h:1", 0 },
		{ "http://h:1/", "http://h:1", "tcp://h:1", 0 },
		{ "ssl://[::1]:8529", "https://[::1]:8529",
		  "ssl://[::1]:8529", 0 },
		{ "HTTP+SSL://h", "https://h:8529", "ssl://h:8529", 8529 },
		{ "https://h", "https://h:8529", "ssl://h:8529", 8529 }
	};
	char	*s, *e;
	size_t	 i;

	for (i = 0; i < NITEMS(t); i++) {
		CU_ASSERT_EQUAL_FATAL(url_from_endpoint(t[i].endpoint,
		    t[i].port, &s, NULL), 0);
		CU_ASSERT_STRING_EQUAL(s, t[i].url);
		CU_ASSERT_EQUAL_FATAL(url_to_endpoint(s, &e, NULL), 0);
		CU_ASSERT_STRING_EQUAL(e, t[i].back);
		free(s);
		free(e);
	}
	CU_ASSERT(url_from_endpoint("tcp://h", 0, &s, NULL) < 0);
	CU_ASSERT(url_from_endpoint("vst://h:1", 0, &s, NULL) < 0);
	CU_ASSERT(url_from_endpoint("h:1", 0, &s, NULL) < 0);
	CU_ASSERT(url_from_endpoint("tcp://h:1/x", 0, &s, NULL) < 0);
	CU_ASSERT(url_from_endpoint("tcp://", 8529, &s, NULL) < 0);
}

static void
test_percent(void)
{
	char	*s;
	size_t	 n;

	s = url_encode("a b/\xc3\xa4~%");
	CU_ASSERT_STRING_EQUAL(s, "a%20b%2F%C3%A4~%25");
	free(s);
	CU_ASSERT_EQUAL(url_decode("a%20b+c%2f", 10, false, &s, &n), 0);
	CU_ASSERT_STRING_EQUAL(s, "a b+c/");
	CU_ASSERT_EQUAL(n, 6);
	free(s);
	CU_ASSERT_EQUAL(url_decode("a+b", 3, true, &s, NULL), 0);
	CU_ASSERT_STRING_EQUAL(s, "a b");
	free(s);
	CU_ASSERT(url_decode("%", 1, false, &s, NULL) < 0);
	CU_ASSERT(url_decode("%4", 2, false, &s, NULL) < 0);
	CU_ASSERT(url_decode("%4g", 3, false, &s, NULL) < 0);
	CU_ASSERT(url_decode("%00", 3, false, &s, NULL) < 0);
	/* What lies behind the length is not looked at. */
	CU_ASSERT(url_decode("%41", 2, false, &s, NULL) < 0);
}

static void
test_query(void)
{
	static const char	 text[] = "a=1&&b&c=x%26y+z&a=2&=e&d=";
	struct url_query	 q;
	struct buf		 b = BUF_INIT;
	int			 i;

	CU_ASSERT_EQUAL_FATAL(url_query_parse(text, strlen(text), &q), 0);
	CU_ASSERT_EQUAL(q.count, 6);
	CU_ASSERT_STRING_EQUAL(url_query_get(&q, "a"), "2");
	CU_ASSERT_STRING_EQUAL(url_query_get_first(&q, "a"), "1");
	CU_ASSERT_STRING_EQUAL(url_query_get(&q, "b"), "");
	CU_ASSERT_STRING_EQUAL(url_query_get(&q, "c"), "x&y z");
	CU_ASSERT_STRING_EQUAL(url_query_get(&q, "d"), "");
	CU_ASSERT_PTR_NULL(url_query_get(&q, "z"));
	url_query_free(&q);
	CU_ASSERT_EQUAL(url_query_parse("", 0, &q), 0);
	CU_ASSERT_EQUAL(q.count, 0);
	CU_ASSERT(url_query_parse("a=%", 3, &q) < 0);
	buf_append_str(&b, "/p");
	url_query_append(&b, "a b", "c&d");
	url_query_append(&b, "e", "");
	CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "/p?a%20b=c%26d&e=");
	buf_reset(&b);
	for (i = 0; i <= URL_QUERY_MAX_PARAMS; i++)
		buf_append_str(&b, "x&");
	CU_ASSERT_EQUAL(url_query_parse((char *)b.data, b.len, &q),
	    ERR_TOO_BIG);
	CU_ASSERT_EQUAL(url_query_parse((char *)b.data, b.len - 2, &q), 0);
	url_query_free(&q);
	buf_free(&b);
}

static void
test_base64(void)
{
	/* RFC 4648, section 10 */
	static const struct {
		const char	*plain, *coded, *url;
	} t[] = {
		{ "", "", "" },
		{ "f", "Zg==", "Zg" },
		{ "fo", "Zm8=", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg==", "Zm9vYg" },
		{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
		{ "\xff\xef\xbe", "/+++", "_---" }
	};
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zm9vYg=", "Zh==", "Zm9=", "====", "Zg==Zg==",
		"Zm 9", "Zm-9", "Z===", "Zm9v\n"
	};
	char	*s;
	uint8_t	*p;
	size_t	 i, n;

	for (i = 0; i < NITEMS(t); i++) {
		s = base64_encode(t[i].plain, strlen(t[i].plain));
		CU_ASSERT_STRING_EQUAL(s, t[i].coded);
		free(s);
		s = base64url_encode(t[i].plain, strlen(t[i].plain));
		CU_ASSERT_STRING_EQUAL(s, t[i].url);
		free(s);
		CU_ASSERT_EQUAL_FATAL(base64_decode(t[i].coded,
		    strlen(t[i].coded), &p, &n), 0);
		CU_ASSERT_STRING_EQUAL((char *)p, t[i].plain);
		CU_ASSERT_EQUAL(n, strlen(t[i].plain));
		free(p);
		CU_ASSERT_EQUAL_FATAL(base64url_decode(t[i].url,
		    strlen(t[i].url), &p, &n), 0);
		CU_ASSERT_STRING_EQUAL((char *)p, t[i].plain);
		free(p);
	}
	for (i = 0; i < NITEMS(bad); i++)
		CU_ASSERT(base64_decode(bad[i], strlen(bad[i]), &p, &n) < 0);
	CU_ASSERT(base64url_decode("Zg=", 3, &p, &n) < 0);
	CU_ASSERT(base64url_decode("Z+8", 3, &p, &n) < 0);
}

UNIT_MAIN("url",
    { "URLs are taken apart and composed again", test_good_urls },
    { "credentials are decoded, and left out on demand", test_credentials },
    { "bad URLs are refused with a sentence", test_bad_urls },
    { "all endpoint spellings mean the same", test_endpoints },
    { "percent encoding goes both ways", test_percent },
    { "query strings keep order, first and last value", test_query },
    { "base64 follows the RFC and refuses sloppy text", test_base64 })
