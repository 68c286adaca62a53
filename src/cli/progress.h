/*
 * progress.h - what people see on standard error while a command waits.
 *
 * On a terminal one line is written over and over.  Elsewhere a changed text
 * is a line every 10 seconds, and the same text again every 20: supervisors
 * and test benches take a command that is silent for a minute for dead.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

/* The text from now on; "" for none. */
void	progress_set(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* To be called about once a second while waiting. */
void	progress_tick(void);
/* Before anything else is printed: makes the terminal's line empty. */
void	progress_clear(void);

#endif
