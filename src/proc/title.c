/* title.c - write over the block of arguments that the kernel shows */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "proc/title.h"

static char	*area;		/* argv[0] and what follows in one piece */
static size_t	 area_size;
static char	 program[64] = "?";
static int	 environ_moved;

void
proc_title_init(int argc, char **argv)
{
	const char	*slash;
	char		*end;
	int		 i;

	if (argc < 1)
		return;
	slash = strrchr(argv[0], '/');
	snprintf(program, sizeof(program), "%s", slash == NULL ? argv[0] :
	    slash + 1);
	end = argv[0];
	for (i = 0; i < argc; i++) {
		if (argv[i] != end)
			break;		/* somebody moved it */
		end += strlen(argv[i]) + 1;
	}
	/* The environment lies behind; a long title may use it, as the kernel
	 * shows up to the first NUL when the arguments end without one. */
	for (i = 0; environ != NULL && environ[i] != NULL; i++) {
		if (environ[i] != end)
			break;
		end += strlen(environ[i]) + 1;
	}
	area = argv[0];
	area_size = (size_t)(end - area);
}

const char *
proc_title_program(void)
{
	return program;
}

/* getenv() must keep working in the child. */
static void
move_environ(void)
{
	char	**copy;
	size_t	  n = 0, i;

	while (environ != NULL && environ[n] != NULL)
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (i = 0; i < n; i++)
		copy[i] = xstrdup(environ[i]);
	environ = copy;
	environ_moved = 1;
}

void
proc_title_set(const char *fmt, ...)
{
	char	 text[256];
	va_list	 ap;
	size_t	 n;

	if (area == NULL || area_size < 2)
		return;
	if (!environ_moved)
		move_environ();
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = MIN(strlen(text), area_size - 1);
	memset(area, 0, area_size);
	memcpy(area, text, n);
}
