/* cmd_server.c - commands about one server */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "sandbox/child.h"
#include "sandbox/cmd.h"

static const char *
server_arg(const struct conf *c)
{
	return conf_args(c, NULL)[0];
}

/* One of the requests that name a server and nothing else. */
static int
ask(const struct conf *c, uint16_t type)
{
	struct buf	 body = BUF_INIT;

	if (strlen(server_arg(c)) > 32) {
		cmd_complain("there is no server %s in this cluster",
		    server_arg(c));
		return 2;
	}
	put_str(&body, server_arg(c));
	return cmd_ask_and_tell(conf_string(c, "dir"), type, &body,
	    CMD_WAIT_MS);
}

int
cmd_kill(const struct conf *c, void *context)
{
	return ask(c, MSG_CMD_KILL_REQ);
}

int
cmd_pause(const struct conf *c, void *context)
{
	return ask(c, MSG_CMD_PAUSE_REQ);
}

int
cmd_power_cut(const struct conf *c, void *context)
{
	return ask(c, MSG_CMD_POWER_CUT_REQ);
}

int
cmd_prune_wal(const struct conf *c, void *context)
{
	return ask(c, MSG_CMD_PRUNE_REQ);
}

/* The supervisor knows that the process is ready; what counts is that the
 * server answers. */
static int
ask_and_wait(const struct conf *c, uint16_t type)
{
	uint64_t	 deadline = clock_mono_ms() + CMD_WAIT_MS;
	int		 code;

	if ((code = ask(c, type)) != 0)
		return code;
	return cmd_wait_available(conf_string(c, "dir"), server_arg(c),
	    deadline);
}

int
cmd_start(const struct conf *c, void *context)
{
	return ask_and_wait(c, MSG_CMD_START_REQ);
}

int
cmd_resume(const struct conf *c, void *context)
{
	return ask_and_wait(c, MSG_CMD_RESUME_REQ);
}

static int
parse_fault(const char *text, struct sb_fault *f)
{
	static const struct {
		const char		*name;
		enum sb_fault_kind	 kind;
	} kinds[] = {
		{ "none", SB_FAULT_NONE }, { "drop", SB_FAULT_DROP },
		{ "refuse", SB_FAULT_REFUSE }, { "503", SB_FAULT_503 }
	};
	uint64_t	 ms;
	size_t		 i;

	f->delay_ms = 0;
	for (i = 0; i < NITEMS(kinds); i++)
		if (strcmp(text, kinds[i].name) == 0) {
			f->kind = kinds[i].kind;
			return 0;
		}
	if (!str_starts_with(text, "delay=") ||
	    str_to_u64(text + strlen("delay="), &ms) != 0 || ms > 3600000)
		return ERR_FORMAT;
	f->kind = SB_FAULT_DELAY;
	f->delay_ms = (uint32_t)ms;
	return 0;
}

int
cmd_fault(const struct conf *c, void *context)
{
	const char *const	*args = conf_args(c, NULL);
	struct sb_fault		 f;
	struct buf		 body = BUF_INIT;

	if (parse_fault(args[1], &f) != 0) {
		cmd_complain("%s is no fault: use delay=MS, drop, refuse, 503 "
		    "or none", args[1]);
		return 2;
	}
	f.path = conf_string(c, "path") == NULL ? "" : conf_string(c, "path");
	f.count = (uint32_t)conf_int(c, "count");
	if (strlen(args[0]) > 32) {
		cmd_complain("there is no server %s in this cluster", args[0]);
		return 2;
	}
	put_str(&body, args[0]);
	put_u8(&body, (uint8_t)f.kind);
	put_u32(&body, f.delay_ms);
	put_str(&body, f.path);
	put_u32(&body, f.count);
	return cmd_ask_and_tell(conf_string(c, "dir"), MSG_CMD_FAULT_REQ,
	    &body, CMD_WAIT_MS);
}
