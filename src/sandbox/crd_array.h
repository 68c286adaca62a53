/*
 * crd_array.h - from an array of documents to arrays for shards and back.
 */
#ifndef SANDBOX_CRD_ARRAY_H
#define SANDBOX_CRD_ARRAY_H

#include "sandbox/coordinator.h"
#include "sandbox/docop.h"

struct crd_placement {
	long	 shard;			/* -1: nobody knows, ask all */
	char	 new_key[DOCOP_GENERATED_KEY_MAX];	/* "": has one, or the
							 * leader makes it */
};

/*
 * Shard of one element, and a key for an insert that needs one to be placed.
 * errnum as arangod answers for it: 1227, 1221, 1466, 1205 ...  May wait for
 * the agency when it takes a new block of ids.
 */
int	crd_array_place(struct crd *c, const struct cl_collection *col,
	    const struct docop_opts *o, const uint8_t *element,
	    struct crd_placement *p);
/* The document with _key in front, appended. */
void	crd_array_put_key(struct buf *out, const uint8_t *doc,
	    const char *key);
/* Shard of an object that has every shard key attribute, else -1. */
long	crd_array_shard_if_complete(const struct cl_collection *col,
	    const uint8_t *object);

#endif
