/* switch.c - from one stack to another */
#include <stdint.h>

#include "base/err.h"
#include "ev/switch.h"

static int	generic = -1;		/* -1: not looked yet */

#if defined(__x86_64__) && defined(__linux__) && !defined(__ILP32__)
#define HAVE_FAST_SWITCH	1

void	switch_fast(void **save_sp, void *load_sp);

/*
 * The System V ABI leaves to the callee rbx, rbp, r12 to r15, rsp and the
 * control words of SSE and x87; everything else the compiler saves around the
 * call.  The return address is that of our caller, so `ret` ends up on the
 * other stack.
 */
__asm__(
"	.text\n"
"	.p2align 4\n"
"	.globl	switch_fast\n"
"	.hidden	switch_fast\n"
"	.type	switch_fast, @function\n"
"switch_fast:\n"
"	endbr64\n"
"	pushq	%rbp\n"
"	pushq	%rbx\n"
"	pushq	%r12\n"
"	pushq	%r13\n"
"	pushq	%r14\n"
"	pushq	%r15\n"
"	subq	$8, %rsp\n"
"	stmxcsr	(%rsp)\n"
"	fnstcw	4(%rsp)\n"
"	movq	%rsp, (%rdi)\n"
"	movq	%rsi, %rsp\n"
"	ldmxcsr	(%rsp)\n"
"	fldcw	4(%rsp)\n"
"	addq	$8, %rsp\n"
"	popq	%r15\n"
"	popq	%r14\n"
"	popq	%r13\n"
"	popq	%r12\n"
"	popq	%rbx\n"
"	popq	%rbp\n"
"	ret\n"
"	.size	switch_fast, . - switch_fast\n");

/* Does the processor keep a second copy of the return addresses? */
static int
has_shadow_stack(void)
{
	uint64_t	 ssp = 0;

	/* Does nothing where there is none. */
	__asm__ volatile("rdsspq %0" : "+r" (ssp));
	return ssp != 0;
}

static void
fast_init(struct switch_ctx *c, void *low, size_t size, void (*entry)(void))
{
	uint64_t	*sp;
	uint32_t	 mxcsr;
	uint16_t	 fcw;

	sp = (uint64_t *)(((uintptr_t)low + size) & ~(uintptr_t)15);
	*--sp = 0;			/* ends a debugger's backtrace */
	*--sp = (uintptr_t)entry;	/* popped by ret; then rsp % 16 == 8 */
	sp -= 6;
	sp[0] = sp[1] = sp[2] = sp[3] = sp[4] = sp[5] = 0;
	__asm__ volatile("stmxcsr %0" : "=m" (mxcsr));
	__asm__ volatile("fnstcw %0" : "=m" (fcw));
	*--sp = (uint64_t)fcw << 32 | mxcsr;
	c->sp = sp;
}
#else
#define HAVE_FAST_SWITCH	0
#endif

static int
is_generic(void)
{
#if HAVE_FAST_SWITCH
	if (generic == -1)
		generic = has_shadow_stack();
	return generic;
#else
	return 1;
#endif
}

void
switch_use_generic(int yes)
{
	generic = yes ? 1 : -1;
}

void
switch_init(struct switch_ctx *c, void *low, size_t size, void (*entry)(void))
{
#if HAVE_FAST_SWITCH
	if (!is_generic()) {
		fast_init(c, low, size, entry);
		return;
	}
#endif
	bug_unless(getcontext(&c->uc) == 0);
	c->uc.uc_stack.ss_sp = low;
	c->uc.uc_stack.ss_size = size;
	c->uc.uc_link = NULL;
	makecontext(&c->uc, entry, 0);
}

void
switch_to(struct switch_ctx *from, struct switch_ctx *to)
{
#if HAVE_FAST_SWITCH
	if (!is_generic()) {
		switch_fast(&from->sp, to->sp);
		return;
	}
#endif
	bug_unless(swapcontext(&from->uc, &to->uc) == 0);
}
