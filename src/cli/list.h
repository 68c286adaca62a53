/* list.h - commands that print a list which a master gives, as a table */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include "cli/remote.h"

struct list_spec {
	const char	*path;		/* GET */
	const char	*name;		/* of the array in the answer */
	const char	*empty;		/* sentence when it has nothing */
	const char	*failed;	/* "cannot get the tasks" */
	const char *const *heads, *const *verbose_heads;
	/* Cells of one row.  0, or ERR_FORMAT with a sentence. */
	int		(*row)(struct cli_table *t, struct json_object *o,
			    int verbose, struct err_msg *m);
};

/* Exit code; waits (in a fiber of remote_run()). */
int	list_print(struct remote *r, const struct conf *c,
	    const struct list_spec *spec);
/* A cell from a string member that may be absent. */
void	list_cell(struct cli_table *t, struct json_object *o,
	    const char *path);
/* The same for a time: to the second, "-" for never. */
void	list_cell_time(struct cli_table *t, struct json_object *o,
	    const char *path);

#endif
