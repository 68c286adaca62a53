/* structure_priv.h - shared by structure.c, structure_parse.c and plan. */
#ifndef SYNC_STRUCTURE_PRIV_H
#define SYNC_STRUCTURE_PRIV_H

#include "sync/structure.h"

void	structure_coll_clear(struct structure_coll *c);
/* Sorts; ERR_FORMAT when something is there twice. */
int	structure_finish(struct structure *st, struct err_msg *m);
/* A normalised definition; takes it. */
void	structure_add_index(struct structure_coll *c, struct json_object *def);

#endif
