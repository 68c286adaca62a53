/* scan.c - lines of JSON and their members, without trees; see scan.h */
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#include "json/scan.h"
#include "json/text.h"

/* ---- lines -------------------------------------------------------------- */

void
line_init(struct line_split *ls, size_t max)
{
	memset(ls, 0, sizeof(*ls));
	ls->max = max;
}

void
line_free(struct line_split *ls)
{
	buf_free(&ls->part);
}

static int
give_line(struct line_split *ls, const char *line, size_t len, line_fn *fn,
    void *arg)
{
	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len == 0)
		return 0;
	if (len > ls->max)
		return ERR_TOO_BIG;
	ls->nlines++;
	return fn(line, len, arg);
}

/* The end of a line whose begin is in ls->part. */
static int
give_joined(struct line_split *ls, const char *data, size_t len, line_fn *fn,
    void *arg)
{
	int		 r;

	if (ls->part.len + len > ls->max + 1)
		return ERR_TOO_BIG;
	buf_append(&ls->part, data, len);
	r = give_line(ls, (char *)ls->part.data, ls->part.len, fn, arg);
	buf_reset(&ls->part);
	return r;
}

int
line_feed(struct line_split *ls, const char *data, size_t len, line_fn *fn,
    void *arg)
{
	const char	*end = data + len, *nl;
	int		 r;

	for (; data < end; data = nl + 1) {
		nl = memchr(data, '\n', (size_t)(end - data));
		if (nl == NULL)
			break;
		r = ls->part.len != 0 ?
		    give_joined(ls, data, (size_t)(nl - data), fn, arg) :
		    give_line(ls, data, (size_t)(nl - data), fn, arg);
		if (r != 0)
			return r;
	}
	if (data >= end)
		return 0;
	/* one more for a "\r" that is not part of the line */
	if (ls->part.len + (size_t)(end - data) > ls->max + 1)
		return ERR_TOO_BIG;
	buf_append(&ls->part, data, (size_t)(end - data));
	return 0;
}

int
line_end(struct line_split *ls, bool accept_partial, line_fn *fn, void *arg)
{
	int		 r;

	if (ls->part.len == 0)
		return 0;
	if (!accept_partial) {
		buf_reset(&ls->part);
		return ERR_TRUNCATED;
	}
	r = give_line(ls, (char *)ls->part.data, ls->part.len, fn, arg);
	buf_reset(&ls->part);
	return r;
}

/* ---- the end of a value ------------------------------------------------- */

#define BLOCK	64

/* One bit for each byte of a block. */
struct block {
	uint64_t	 quotes, slashes, open, close;
};

#ifdef __SSE2__
static inline uint64_t
mask16(__m128i v, int shift)
{
	return (uint64_t)(unsigned int)_mm_movemask_epi8(v) << shift;
}
#endif

/* "[" and "{", "]" and "}" differ in one bit, and share no one else's. */
static inline void
block_read(struct block *b, const char *p)
{
	int		 i;
#ifdef __SSE2__
	__m128i		 v, w;

	memset(b, 0, sizeof(*b));
	for (i = 0; i < BLOCK; i += 16) {
		v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		w = _mm_or_si128(v, _mm_set1_epi8(0x20));
		b->quotes |= mask16(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), i);
		b->slashes |= mask16(_mm_cmpeq_epi8(v,
		    _mm_set1_epi8('\\')), i);
		b->open |= mask16(_mm_cmpeq_epi8(w, _mm_set1_epi8('{')), i);
		b->close |= mask16(_mm_cmpeq_epi8(w, _mm_set1_epi8('}')), i);
	}
#else
	memset(b, 0, sizeof(*b));
	for (i = 0; i < BLOCK; i++) {
		b->quotes |= (uint64_t)(p[i] == '"') << i;
		b->slashes |= (uint64_t)(p[i] == '\\') << i;
		b->open |= (uint64_t)((p[i] | 0x20) == '{') << i;
		b->close |= (uint64_t)((p[i] | 0x20) == '}') << i;
	}
#endif
}

struct compound {
	uint64_t	 in_string;	/* all ones inside a string */
	bool		 escaped;	/* the next byte is */
	size_t		 depth;
};

/* Bits of bytes that a backslash precedes. */
static uint64_t
escaped_bytes(struct compound *c, uint64_t slashes)
{
	uint64_t	 escaped = 0;
	unsigned int	 i;

	if (c->escaped) {
		escaped = 1;
		slashes &= ~1ULL;
		c->escaped = false;
	}
	while (slashes != 0) {
		i = (unsigned int)__builtin_ctzll(slashes);
		slashes &= slashes - 1;
		if (i == BLOCK - 1)
			c->escaped = true;
		else {
			escaped |= 2ULL << i;
			slashes &= ~(2ULL << i);
		}
	}
	return escaped;
}

/* Each bit becomes the parity of itself and all lower ones. */
static inline uint64_t
parity_below(uint64_t x)
{
	x ^= x << 1;
	x ^= x << 2;
	x ^= x << 4;
	x ^= x << 8;
	x ^= x << 16;
	return x ^ x << 32;
}

/*
 * Where in the block the value ends (behind the bracket), or 0: not here.
 * parity is parity_below() or something faster.
 */
static inline __attribute__((always_inline)) unsigned int
block_end(struct compound *c, struct block *b, uint64_t (*parity)(uint64_t))
{
	uint64_t	 strings, brackets;
	unsigned int	 i;

	if (b->slashes != 0 || c->escaped)
		b->quotes &= ~escaped_bytes(c, b->slashes);
	brackets = b->open | b->close;
	if (brackets == 0) {
		/* text only: all that matters is how it leaves us */
		if (__builtin_parityll(b->quotes))
			c->in_string = ~c->in_string;
		return 0;
	}
	strings = parity(b->quotes) ^ c->in_string;
	c->in_string = 0 - (strings >> 63);
	brackets &= ~strings;
	for (; brackets != 0; brackets &= brackets - 1) {
		i = (unsigned int)__builtin_ctzll(brackets);
		if ((b->open >> i & 1) != 0)
			c->depth++;
		else if (--c->depth == 0)
			return i + 1;
	}
	return 0;
}

/* The last, shorter block of a text. */
static const char *
compound_tail(struct compound *c, const char *p, const char *end)
{
	struct block	 b;
	char		 last[BLOCK];
	unsigned int	 n;

	if (p == end)
		return NULL;
	memset(last, ' ', sizeof(last));
	memcpy(last, p, (size_t)(end - p));
	block_read(&b, last);
	n = block_end(c, &b, parity_below);
	return n != 0 ? p + n : NULL;
}

static const char *
compound_end_plain(const char *p, const char *end)
{
	struct compound	 c = { 0, false, 0 };
	struct block	 b;
	unsigned int	 n;

	for (; end - p >= BLOCK; p += BLOCK) {
		block_read(&b, p);
		if ((n = block_end(&c, &b, parity_below)) != 0)
			return p + n;
	}
	return compound_tail(&c, p, end);
}

#if defined(__x86_64__) && defined(__GNUC__)
#define FAST	__attribute__((target("avx2,pclmul")))

FAST static inline uint64_t
mask32(__m256i v, int shift)
{
	return (uint64_t)(uint32_t)_mm256_movemask_epi8(v) << shift;
}

FAST static inline void
block_read_fast(struct block *b, const char *p)
{
	const __m256i	 quote = _mm256_set1_epi8('"');
	const __m256i	 slash = _mm256_set1_epi8('\\');
	const __m256i	 bit = _mm256_set1_epi8(0x20);
	const __m256i	 open = _mm256_set1_epi8('{');
	const __m256i	 close = _mm256_set1_epi8('}');
	__m256i		 v, w;
	int		 i;

	memset(b, 0, sizeof(*b));
	for (i = 0; i < BLOCK; i += 32) {
		v = _mm256_loadu_si256((const __m256i *)(const void *)(p + i));
		w = _mm256_or_si256(v, bit);
		b->quotes |= mask32(_mm256_cmpeq_epi8(v, quote), i);
		b->slashes |= mask32(_mm256_cmpeq_epi8(v, slash), i);
		b->open |= mask32(_mm256_cmpeq_epi8(w, open), i);
		b->close |= mask32(_mm256_cmpeq_epi8(w, close), i);
	}
}

/* A carry-less product with all ones is the parity of all lower bits. */
FAST static inline uint64_t
parity_below_fast(uint64_t x)
{
	return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(
	    _mm_set_epi64x(0, (long long)x), _mm_set1_epi8(-1), 0));
}

FAST static const char *
compound_end_fast(const char *p, const char *end)
{
	struct compound	 c = { 0, false, 0 };
	struct block	 b;
	unsigned int	 n;

	for (; end - p >= BLOCK; p += BLOCK) {
		block_read_fast(&b, p);
		if ((n = block_end(&c, &b, parity_below_fast)) != 0)
			return p + n;
	}
	return compound_tail(&c, p, end);
}
#endif

static const char *
compound_end(const char *p, const char *end)
{
#ifdef FAST
	static int	 fast = -1;

	if (fast < 0)
		fast = __builtin_cpu_supports("avx2") &&
		    __builtin_cpu_supports("pclmul");
	if (fast)
		return compound_end_fast(p, end);
#endif
	return compound_end_plain(p, end);
}

static const char *
string_end(const char *p, const char *end)
{
	unsigned int	 high = 0;

	for (p++;; p += 2) {
		p = text_string_run(p, end, &high);
		if (p == end || (unsigned char)*p < 0x20)
			return NULL;
		if (*p == '"')
			return p + 1;
		if (end - p < 2)
			return NULL;
	}
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *
scalar_end(const char *p, const char *end)
{
	if (strchr("-0123456789tfn", *p) == NULL || *p == '\0')
		return NULL;
	while (p < end && *p != ',' && *p != '}' && *p != ']' && !is_space(*p))
		p++;
	return p;
}

const char *
scan_value_end(const char *p, const char *end)
{
	if (p >= end)
		return NULL;
	if (*p == '"')
		return string_end(p, end);
	if (*p == '{' || *p == '[')
		return compound_end(p, end);
	return scalar_end(p, end);
}

const char *
scan_value_end_plain(const char *p, const char *end)
{
	if (p < end && (*p == '{' || *p == '['))
		return compound_end_plain(p, end);
	return scan_value_end(p, end);
}

/* ---- members ------------------------------------------------------------ */

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

void
scan_object(struct scan_iter *it, const char *p, size_t len)
{
	it->p = skip_space(p, p + len);
	it->end = p + len;
	it->inside = false;
}

int
scan_next(struct scan_iter *it, struct scan_span *name, struct scan_span *value)
{
	const char	*p = skip_space(it->p, it->end), *q;

	if (p == it->end)
		return ERR_FORMAT;
	if (!it->inside) {
		if (*p != '{')
			return ERR_FORMAT;
	} else if (*p == '}') {
		it->p = p + 1;
		return 0;
	} else if (*p != ',')
		return ERR_FORMAT;
	p = skip_space(p + 1, it->end);
	if (p == it->end)
		return ERR_FORMAT;
	if (!it->inside && *p == '}') {
		it->inside = true;
		it->p = p + 1;
		return 0;
	}
	if (*p != '"' || (q = string_end(p, it->end)) == NULL)
		return ERR_FORMAT;
	name->p = p + 1;
	name->len = (size_t)(q - p) - 2;
	p = skip_space(q, it->end);
	if (p == it->end || *p != ':')
		return ERR_FORMAT;
	p = skip_space(p + 1, it->end);
	if ((q = scan_value_end(p, it->end)) == NULL)
		return ERR_FORMAT;
	value->p = p;
	value->len = (size_t)(q - p);
	it->p = q;
	it->inside = true;
	return 1;
}

int
scan_array_next(struct scan_iter *it, struct scan_span *value)
{
	const char	*p = skip_space(it->p, it->end), *q;
	char		 close = ']', before = it->inside ? ',' : '[';

	if (p == it->end)
		return ERR_FORMAT;
	if (it->inside && *p == close) {
		it->p = p + 1;
		return 0;
	}
	if (*p != before)
		return ERR_FORMAT;
	p = skip_space(p + 1, it->end);
	if (p < it->end && !it->inside && *p == close) {
		it->inside = true;
		it->p = p + 1;
		return 0;
	}
	if ((q = scan_value_end(p, it->end)) == NULL)
		return ERR_FORMAT;
	value->p = p;
	value->len = (size_t)(q - p);
	it->p = q;
	it->inside = true;
	return 1;
}

static struct scan_span *
marker_member(struct scan_marker *m, const struct scan_span *name)
{
	switch (name->len) {
	case 2:
		return memcmp(name->p, "db", 2) == 0 ? &m->db : NULL;
	case 3:
		return memcmp(name->p, "tid", 3) == 0 ? &m->tid : NULL;
	case 4:
		if (memcmp(name->p, "tick", 4) == 0)
			return &m->tick;
		if (memcmp(name->p, "type", 4) == 0)
			return &m->type;
		if (memcmp(name->p, "cuid", 4) == 0)
			return &m->cuid;
		return memcmp(name->p, "data", 4) == 0 ? &m->data : NULL;
	default:
		return NULL;
	}
}

/*
 * A string without escapes, or the digits of a number, that end before `end`:
 * behind it, or NULL.
 */
static inline const char *
plain_end(const char *p, const char *end)
{
	const char	*q = p;
	unsigned int	 high = 0;

	if (*q == '"') {
		q = text_string_run(p + 1, end, &high);
		return q == end || *q != '"' ? NULL : q + 1;
	}
	while (q < end && *q >= '0' && *q <= '9')
		q++;
	return q == p ? NULL : q;
}

bool
scan_marker_front(const char *line, size_t len, struct scan_marker *m)
{
	const char		*p, *q, *end;
	struct scan_span	 name, *to;

	memset(m, 0, sizeof(*m));
	if (len < 2 || line[0] != '{' || line[len - 1] != '}')
		return false;
	end = line + len - 1;
	for (p = line + 1;; p++) {
		/* longest: "data": and a byte of its value */
		if (end - p < 8 || *p != '"')
			return false;
		name.p = p + 1;
		name.len = p[3] == '"' ? 2 : p[4] == '"' ? 3 : 4;
		p += name.len + 1;
		if (p[0] != '"' || p[1] != ':' ||
		    (to = marker_member(m, &name)) == NULL || to->p != NULL)
			return false;
		p += 2;
		if (to == &m->data)
			break;
		if ((q = plain_end(p, end)) == NULL)
			return false;
		to->p = p;
		to->len = (size_t)(q - p);
		if ((p = q) == end)
			return true;
		if (*p != ',')
			return false;
	}
	if (end - p < 2 || *p != '{' || end[-1] != '}')
		return false;
	m->data.p = p;
	m->data.len = (size_t)(end - p);
	return true;
}

int
scan_marker(const char *line, size_t len, struct scan_marker *m)
{
	struct scan_iter	 it;
	struct scan_span	 name, value, *to;
	int			 r;

	if (scan_marker_front(line, len, m) && (m->data.p == NULL ||
	    scan_value_end(m->data.p, line + len) == m->data.p + m->data.len))
		return 0;
	memset(m, 0, sizeof(*m));
	scan_object(&it, line, len);
	while ((r = scan_next(&it, &name, &value)) == 1) {
		if ((to = marker_member(m, &name)) == NULL)
			continue;
		if (to->p != NULL)
			return ERR_FORMAT;
		*to = value;
	}
	if (r != 0)
		return r;
	return skip_space(it.p, it.end) == it.end ? 0 : ERR_FORMAT;
}

int
scan_uint(const struct scan_span *s, uint64_t *v)
{
	const char	*p = s->p, *end;
	uint64_t	 n = 0;
	unsigned int	 d;

	if (p == NULL || s->len == 0)
		return ERR_FORMAT;
	end = p + s->len;
	if (*p == '"') {
		p++;
		end--;
	}
	if (p >= end)
		return ERR_FORMAT;
	for (; p < end; p++) {
		d = (unsigned int)(unsigned char)*p - '0';
		if (d > 9)
			return ERR_FORMAT;
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, d, &n))
			return ERR_RANGE;
	}
	*v = n;
	return 0;
}

int
scan_string(const struct scan_span *s, struct buf *out)
{
	const char	*p, *q, *end;
	uint8_t		 d[4];
	unsigned int	 high;
	size_t		 n, at = out->len;

	if (s->p == NULL || s->len < 2 || *s->p != '"')
		return ERR_FORMAT;
	p = s->p + 1;
	end = s->p + s->len - 1;
	for (;;) {
		high = 0;
		q = text_string_run(p, end, &high);
		if (high != 0 && !text_is_utf8(p, (size_t)(q - p)))
			break;
		buf_append(out, p, (size_t)(q - p));
		if (q == end)
			return 0;
		p = q + 1;
		if (*q != '\\' || text_escape(&p, end, d, &n) != NULL)
			break;
		buf_append(out, d, n);
	}
	out->len = at;
	return ERR_FORMAT;
}

bool
scan_string_is(const struct scan_span *s, const char *text)
{
	size_t		 n = strlen(text);

	return s->p != NULL && s->len == n + 2 && *s->p == '"' &&
	    memcmp(s->p + 1, text, n) == 0;
}
