/* snapshot_priv.h - shared by snapshot.c and dump.c */
#ifndef ARANGO_SNAPSHOT_PRIV_H
#define ARANGO_SNAPSHOT_PRIV_H

#include "arango/conn.h"
#include "arango/snapshot.h"

struct arango_snapshot {
	struct arango_snapshot_opts o;
	char			*db;
	char			*id;		/* as it goes into URLs */
	uint64_t		 tick;
	bool			 lost, closed;
	struct arango_cancel	 stop;		/* of the renewals */
};

#endif
