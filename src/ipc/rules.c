/* rules.c - tables of accepted messages */
#include "base/err.h"
#include "ipc/rules.h"

int
msg_dispatch_known(const struct msg_rule *rules, uint32_t phase, void *ctx,
    struct peer *peer, const struct frame *f)
{
	const struct msg_rule	*rule;
	struct msg_in		 m;

	for (rule = rules; rule->type != MSG_NONE; rule++)
		if (rule->type == f->type)
			break;
	if (rule->type == MSG_NONE)
		return ERR_NOT_FOUND;
	if ((rule->phases & phase) == 0)
		return ERR_BAD_STATE;
	if (f->len < rule->min)
		return ERR_TRUNCATED;
	if (f->len > rule->max)
		return ERR_TOO_BIG;
	m.ctx = ctx;
	m.peer = peer;
	m.type = f->type;
	m.id = f->id;
	m.body.p = f->payload;
	m.body.left = f->len;
	return rule->fn(&m);
}

int
msg_dispatch(const struct msg_rule *rules, uint32_t phase, void *ctx,
    struct peer *peer, const struct frame *f)
{
	int	 r = msg_dispatch_known(rules, phase, ctx, peer, f);

	return r == ERR_NOT_FOUND ? ERR_PROTOCOL : r;
}

size_t
msg_rules_max(const struct msg_rule *rules)
{
	size_t	 max = 0;

	for (; rules->type != MSG_NONE; rules++)
		max = MAX(max, (size_t)rules->max);
	return max;
}
