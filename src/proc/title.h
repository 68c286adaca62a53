/*
 * title.h - what ps(1) shows.
 *
 * Only children change it: the supervisor is found by its argument list.
 */
#ifndef PROC_TITLE_H
#define PROC_TITLE_H

/*
 * At the start of main(), with its own argc and argv: remembers where the
 * arguments are.  Nothing of argv may be used in a child after
 * proc_title_set(): copy what is needed.
 */
void	proc_title_init(int argc, char **argv);
/* Last part of argv[0]; "?" before proc_title_init(). */
const char *proc_title_program(void);
/* No effect without proc_title_init(). */
void	proc_title_set(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

#endif
