/* fuzz_aql.c - query texts: no crash, and an error always has a sentence */
#include <stdint.h>
#include <stdlib.h>

#include "sandbox/crd_aql.h"
#include "vpack/vpack.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aql_plan	*plan = xmalloc(sizeof(*plan));
	struct err_msg	 em = { "" };

	if (aql_parse((const char *)data, size, vp_empty_object, plan,
	    &em) != 0 && em.text[0] == '\0')
		abort();
	aql_plan_free(plan);
	free(plan);
	return 0;
}
