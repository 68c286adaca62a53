/*
 * switch.h - from one stack to another; for fiber.c only.
 *
 * On x86-64 a switch is a handful of instructions.  Elsewhere, and where the
 * processor guards return addresses with a shadow stack (which belongs to one
 * stack only), it is swapcontext(3), with its two system calls.
 */
#ifndef EV_SWITCH_H
#define EV_SWITCH_H

#include <stddef.h>
#include <ucontext.h>

struct switch_ctx {
	void		*sp;		/* fast way: where its registers are */
	ucontext_t	 uc;		/* generic way */
};

/*
 * Prepare a context that begins in entry() on the stack low .. low + size.
 * entry() must never return.
 */
void	switch_init(struct switch_ctx *c, void *low, size_t size,
	    void (*entry)(void));
/* Save the running context in from and go on where `to` was saved. */
void	switch_to(struct switch_ctx *from, struct switch_ctx *to);
/* For tests: take the generic way from now on.  No context may be in use. */
void	switch_use_generic(int yes);

#endif
