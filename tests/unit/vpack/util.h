/* util.h - what the tests of src/vpack share */
#ifndef TESTS_UNIT_VPACK_UTIL_H
#define TESTS_UNIT_VPACK_UTIL_H

#include <stdio.h>
#include <string.h>

#include "unit.h"
#include "vpack/vpack.h"

#define RING	16

/* JSON to VelocyPack; the result is valid for RING more calls. */
static inline const uint8_t *
vp(const char *json)
{
	static struct buf	 ring[RING];
	static unsigned int	 next;
	struct buf		*out = &ring[next++ % RING];
	struct vp_builder	 b;
	struct err_msg		 em = { "" };
	int			 r;

	buf_reset(out);
	vpb_init(&b, out);
	if ((r = vp_from_json(&b, json, strlen(json), &em)) == 0)
		r = vpb_end(&b);
	vpb_free(&b);
	if (r != 0) {
		fprintf(stderr, "%s: %s\n", json, em.text);
		CU_FAIL_FATAL("JSON of a test does not parse");
	}
	return out->data;
}

/* A value as JSON; the same ring. */
static inline const char *
json(const uint8_t *s, unsigned int flags)
{
	static struct buf	 ring[RING];
	static unsigned int	 next;
	struct buf		*out = &ring[next++ % RING];

	buf_reset(out);
	vp_to_json(out, s, flags);
	return buf_cstr(out);
}

#endif
