/* progress.c - a line for those who wait */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/progress.h"

#define CHANGED_EVERY_MS	10000
#define SAME_EVERY_MS		20000
#define TERMINAL_EVERY_MS	100

/* There is one standard error, so there is one of these. */
static struct {
	char		 text[256];
	char		 shown[256];
	uint64_t	 shown_ms;	/* 0: never */
	int		 on_line;	/* the terminal's line has text */
} state;

static void
show(void)
{
	if (isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r%s\033[K", state.text);
		fflush(stderr);
		state.on_line = 1;
	} else if (state.text[0] != '\0')
		fprintf(stderr, "%s\n", state.text);
	memcpy(state.shown, state.text, sizeof(state.shown));
	state.shown_ms = clock_mono_ms();
}

void
progress_tick(void)
{
	uint64_t	 age = clock_mono_ms() - state.shown_ms, limit;
	int		 changed = strcmp(state.text, state.shown) != 0;

	/* Whoever waits for seconds only needs no news. */
	if (state.shown_ms == 0) {
		state.shown_ms = clock_mono_ms();
		return;
	}
	if (isatty(STDERR_FILENO))
		limit = changed ? TERMINAL_EVERY_MS : UINT64_MAX;
	else
		limit = changed ? CHANGED_EVERY_MS : SAME_EVERY_MS;
	if (state.text[0] != '\0' && age >= limit)
		show();
}

void
progress_set(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(state.text, sizeof(state.text), fmt, ap);
	va_end(ap);
	cli_make_safe(state.text);
	progress_tick();
}

void
progress_clear(void)
{
	if (state.on_line) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
		state.on_line = 0;
		state.shown[0] = '\0';
	}
}
