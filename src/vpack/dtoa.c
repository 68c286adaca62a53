/*
 * dtoa.c - doubles as decimal text.
 *
 * arangod prints doubles with the Grisu2 algorithm (Florian Loitsch, "Printing
 * floating-point numbers quickly and accurately with integers", 2010).  It
 * gives the shortest text that reads back as the same double nearly always,
 * and one digit too many now and then.  What it gives is part of what a tail
 * reader sees, so this is the same algorithm with the same choice of cached
 * powers, and fpconv's layout of the digits.
 */
#include <math.h>

#include "vpack/vpack.h"
#include "vpack/vpack_priv.h"

/* f * 2^e */
struct fp {
	uint64_t	 f;
	int		 e;
};

#define HIDDEN_BIT	(1ULL << 52)

/* 10^-348, 10^-340 .. 10^340, rounded to 64 bits. */
#define POWER_FIRST	(-348)
#define POWER_STEP	8
static const struct fp powers[] = {
	{ 0xfa8fd5a0081c0288, -1220 },
	{ 0xbaaee17fa23ebf76, -1193 },
	{ 0x8b16fb203055ac76, -1166 },
	{ 0xcf42894a5dce35ea, -1140 },
	{ 0x9a6bb0aa55653b2d, -1113 },
	{ 0xe61acf033d1a45df, -1087 },
	{ 0xab70fe17c79ac6ca, -1060 },
	{ 0xff77b1fcbebcdc4f, -1034 },
	{ 0xbe5691ef416bd60c, -1007 },
	{ 0x8dd01fad907ffc3c, -980 },
	{ 0xd3515c2831559a83, -954 },
	{ 0x9d71ac8fada6c9b5, -927 },
	{ 0xea9c227723ee8bcb, -901 },
	{ 0xaecc49914078536d, -874 },
	{ 0x823c12795db6ce57, -847 },
	{ 0xc21094364dfb5637, -821 },
	{ 0x9096ea6f3848984f, -794 },
	{ 0xd77485cb25823ac7, -768 },
	{ 0xa086cfcd97bf97f4, -741 },
	{ 0xef340a98172aace5, -715 },
	{ 0xb23867fb2a35b28e, -688 },
	{ 0x84c8d4dfd2c63f3b, -661 },
	{ 0xc5dd44271ad3cdba, -635 },
	{ 0x936b9fcebb25c996, -608 },
	{ 0xdbac6c247d62a584, -582 },
	{ 0xa3ab66580d5fdaf6, -555 },
	{ 0xf3e2f893dec3f126, -529 },
	{ 0xb5b5ada8aaff80b8, -502 },
	{ 0x87625f056c7c4a8b, -475 },
	{ 0xc9bcff6034c13053, -449 },
	{ 0x964e858c91ba2655, -422 },
	{ 0xdff9772470297ebd, -396 },
	{ 0xa6dfbd9fb8e5b88f, -369 },
	{ 0xf8a95fcf88747d94, -343 },
	{ 0xb94470938fa89bcf, -316 },
	{ 0x8a08f0f8bf0f156b, -289 },
	{ 0xcdb02555653131b6, -263 },
	{ 0x993fe2c6d07b7fac, -236 },
	{ 0xe45c10c42a2b3b06, -210 },
	{ 0xaa242499697392d3, -183 },
	{ 0xfd87b5f28300ca0e, -157 },
	{ 0xbce5086492111aeb, -130 },
	{ 0x8cbccc096f5088cc, -103 },
	{ 0xd1b71758e219652c, -77 },
	{ 0x9c40000000000000, -50 },
	{ 0xe8d4a51000000000, -24 },
	{ 0xad78ebc5ac620000, 3 },
	{ 0x813f3978f8940984, 30 },
	{ 0xc097ce7bc90715b3, 56 },
	{ 0x8f7e32ce7bea5c70, 83 },
	{ 0xd5d238a4abe98068, 109 },
	{ 0x9f4f2726179a2245, 136 },
	{ 0xed63a231d4c4fb27, 162 },
	{ 0xb0de65388cc8ada8, 189 },
	{ 0x83c7088e1aab65db, 216 },
	{ 0xc45d1df942711d9a, 242 },
	{ 0x924d692ca61be758, 269 },
	{ 0xda01ee641a708dea, 295 },
	{ 0xa26da3999aef774a, 322 },
	{ 0xf209787bb47d6b85, 348 },
	{ 0xb454e4a179dd1877, 375 },
	{ 0x865b86925b9bc5c2, 402 },
	{ 0xc83553c5c8965d3d, 428 },
	{ 0x952ab45cfa97a0b3, 455 },
	{ 0xde469fbd99a05fe3, 481 },
	{ 0xa59bc234db398c25, 508 },
	{ 0xf6c69a72a3989f5c, 534 },
	{ 0xb7dcbf5354e9bece, 561 },
	{ 0x88fcf317f22241e2, 588 },
	{ 0xcc20ce9bd35c78a5, 614 },
	{ 0x98165af37b2153df, 641 },
	{ 0xe2a0b5dc971f303a, 667 },
	{ 0xa8d9d1535ce3b396, 694 },
	{ 0xfb9b7cd9a4a7443c, 720 },
	{ 0xbb764c4ca7a44410, 747 },
	{ 0x8bab8eefb6409c1a, 774 },
	{ 0xd01fef10a657842c, 800 },
	{ 0x9b10a4e5e9913129, 827 },
	{ 0xe7109bfba19c0c9d, 853 },
	{ 0xac2820d9623bf429, 880 },
	{ 0x80444b5e7aa7cf85, 907 },
	{ 0xbf21e44003acdd2d, 933 },
	{ 0x8e679c2f5e44ff8f, 960 },
	{ 0xd433179d9c8cb841, 986 },
	{ 0x9e19db92b4e31ba9, 1013 },
	{ 0xeb96bf6ebadf77d9, 1039 },
	{ 0xaf87023b9bf0ee6b, 1066 },
};

/* The scaled number has its exponent in here, so that digits fit 32 bits. */
#define EXPONENT_MIN	(-60)
#define EXPONENT_MAX	(-32)

static struct fp
fp_of(uint64_t bits)
{
	struct fp	 v;

	v.f = bits & (HIDDEN_BIT - 1);
	v.e = (int)(bits >> 52 & 0x7ff);
	if (v.e != 0) {
		v.f |= HIDDEN_BIT;
		v.e -= 1075;
	} else
		v.e = -1074;
	return v;
}

static struct fp
fp_normalize(struct fp v)
{
	int		 n = __builtin_clzll(v.f);

	v.f <<= n;
	v.e -= n;
	return v;
}

/* The upper half of the product, rounded. */
static struct fp
fp_multiply(struct fp a, struct fp b)
{
	uint64_t	 ah = a.f >> 32, al = a.f & UINT32_MAX;
	uint64_t	 bh = b.f >> 32, bl = b.f & UINT32_MAX;
	uint64_t	 mid;
	struct fp	 r;

	mid = (ah * bl & UINT32_MAX) + (al * bh & UINT32_MAX) +
	    (al * bl >> 32) + (1U << 31);
	r.f = ah * bh + (ah * bl >> 32) + (al * bh >> 32) + (mid >> 32);
	r.e = a.e + b.e + 64;
	return r;
}

/*
 * A power of ten that brings exponent e into the window.  Sometimes two would
 * do; which one is taken is visible in the digits, hence the estimate.
 */
static struct fp
cached_power(int e, int *k)
{
	int		 i, scaled;

	i = ((int)(-(e + (int)NITEMS(powers)) * 0.30102999566398114) -
	    POWER_FIRST) / POWER_STEP;
	for (;;) {
		scaled = e + powers[i].e + 64;
		if (scaled < EXPONENT_MIN)
			i++;
		else if (scaled > EXPONENT_MAX)
			i--;
		else
			break;
	}
	*k = POWER_FIRST + i * POWER_STEP;
	return powers[i];
}

/* Lower the last digit while that brings it nearer to the number itself. */
static void
round_last(char *last, uint64_t delta, uint64_t rest, uint64_t unit,
    uint64_t distance)
{
	while (rest < distance && delta - rest >= unit &&
	    (rest + unit < distance ||
	    distance - rest > rest + unit - distance)) {
		(*last)--;
		rest += unit;
	}
}

/* Digits of upper until they lie between lower and upper. */
static int
make_digits(struct fp v, struct fp upper, struct fp lower, char *digits, int *k)
{
	int		 shift = -upper.e, left = 10, n = 0;
	uint64_t	 one = 1ULL << shift;
	uint64_t	 whole = upper.f >> shift, part = upper.f & (one - 1);
	uint64_t	 delta = upper.f - lower.f, distance = upper.f - v.f;
	uint64_t	 div, d, rest, scale = 1;

	for (div = 1000000000; left > 0; div /= 10) {
		d = whole / div;
		if (d != 0 || n != 0)
			digits[n++] = (char)('0' + d);
		whole -= d * div;
		left--;
		rest = (whole << shift) + part;
		if (rest <= delta) {
			*k += left;
			round_last(&digits[n - 1], delta, rest, div << shift,
			    distance);
			return n;
		}
	}
	for (;;) {
		part *= 10;
		delta *= 10;
		scale *= 10;
		left--;
		d = part >> shift;
		if (d != 0 || n != 0)
			digits[n++] = (char)('0' + d);
		part &= one - 1;
		if (part < delta) {
			*k += left;
			round_last(&digits[n - 1], delta, part, one,
			    distance * scale);
			return n;
		}
	}
}

/* Digits and exponent: v = digits * 10^*k. */
static int
grisu(uint64_t bits, char *digits, int *k)
{
	struct fp	 v = fp_of(bits), upper, lower, power;
	int		 l;

	/* halfway to the neighbours; below a power of two they are closer */
	upper.f = (v.f << 1) + 1;
	upper.e = v.e - 1;
	upper = fp_normalize(upper);
	l = v.f == HIDDEN_BIT ? 2 : 1;
	lower.f = ((v.f << l) - 1) << (v.e - l - upper.e);
	lower.e = upper.e;

	power = cached_power(upper.e, k);
	v = fp_multiply(fp_normalize(v), power);
	upper = fp_multiply(upper, power);
	lower = fp_multiply(lower, power);
	lower.f++;
	upper.f--;
	*k = -*k;
	return make_digits(v, upper, lower, digits, k);
}

/* "1e+21", "1.5e-7": no leading zeros in the exponent. */
static size_t
put_scientific(char *dst, const char *digits, int n, int k, bool negative)
{
	char		*p = dst;
	int		 e = k + n - 1, ae = e < 0 ? -e : e;

	/* fpconv cuts here, to fit its 24 bytes */
	n = MIN(n, negative ? 17 : 18);
	*p++ = digits[0];
	if (n > 1) {
		*p++ = '.';
		memcpy(p, digits + 1, (size_t)n - 1);
		p += n - 1;
	}
	*p++ = 'e';
	*p++ = e < 0 ? '-' : '+';
	if (ae > 99)
		*p++ = (char)('0' + ae / 100);
	if (ae > 9)
		*p++ = (char)('0' + ae / 10 % 10);
	*p++ = (char)('0' + ae % 10);
	return (size_t)(p - dst);
}

static size_t
put_digits(char *dst, const char *digits, int n, int k, bool negative)
{
	int		 e = k + n - 1, ae = e < 0 ? -e : e, whole;

	if (k >= 0 && ae < n + 7) {
		memcpy(dst, digits, (size_t)n);
		memset(dst + n, '0', (size_t)k);
		return (size_t)(n + k);
	}
	if (k >= 0 || (k <= -7 && ae >= 4))
		return put_scientific(dst, digits, n, k, negative);
	whole = n + k;
	if (whole > 0) {
		memcpy(dst, digits, (size_t)whole);
		dst[whole] = '.';
		memcpy(dst + whole + 1, digits + whole, (size_t)-k);
		return (size_t)n + 1;
	}
	memcpy(dst, "0.", 2);
	memset(dst + 2, '0', (size_t)-whole);
	memcpy(dst + 2 - whole, digits, (size_t)n);
	return (size_t)(2 - whole + n);
}

size_t
vp_double_to_text(char *dst, double v, unsigned int flags)
{
	char		 digits[24], *p = dst;
	uint64_t	 bits;
	int		 n, k = 0;

	memcpy(&bits, &v, 8);
	if (bits >> 63 != 0) {
		*p++ = '-';
		v = -v;
	}
	if (v == 0) {
		*p++ = '0';
		return (size_t)(p - dst);
	}
	if (!isfinite(v)) {
		memcpy(p, isnan(v) ? "NaN" : "inf", 3);
		return (size_t)(p - dst) + 3;
	}
	if ((flags & VP_JSON_EXACT_DOUBLES) != 0 && v >= 0x1p53 &&
	    v < 0x1p64) {
		p += vp_uint_to_text(p, (uint64_t)v);
		*p++ = '.';
		*p++ = '0';
		return (size_t)(p - dst);
	}
	n = grisu(bits & ~(1ULL << 63), digits, &k);
	p += put_digits(p, digits, n, k, bits >> 63 != 0);
	return (size_t)(p - dst);
}
