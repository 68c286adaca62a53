/* messages.c - names of messages */
#include <stdio.h>

#include "base/err.h"
#include "ipc/messages.h"

static const struct {
	uint16_t	 type;
	const char	*name;
} names[] = {
#define X(name, number)	{ number, #name },
	MESSAGE_LIST(X)
#undef X
};

const char *
msg_name(uint16_t type)
{
	static char	 unknown[16];
	size_t		 i;

	for (i = 0; i < NITEMS(names); i++)
		if (names[i].type == type)
			return names[i].name;
	snprintf(unknown, sizeof(unknown), "MSG_0x%04x", (unsigned)type);
	return unknown;
}
