/* cancel.c - who waits, and is to be woken when it is cancelled; see conn.h */
#include <string.h>

#include "arango/conn_priv.h"

void
waiter_begin(struct arango_waiter *w, struct arango_cancel *c)
{
	memset(w, 0, sizeof(*w));
	w->cancel = c;
	if (c == NULL)
		return;
	w->next = c->waiting;
	if (w->next != NULL)
		w->next->prev = w;
	c->waiting = w;
}

void
waiter_end(struct arango_waiter *w)
{
	if (w->cancel == NULL)
		return;
	*(w->prev == NULL ? &w->cancel->waiting : &w->prev->next) = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
}

void
arango_cancel(struct arango_cancel *c)
{
	struct arango_waiter	*w;

	c->cancelled = true;
	for (w = c->waiting; w != NULL; w = w->next)
		fiber_cond_broadcast(&w->cond);
}
