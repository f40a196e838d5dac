// SPDX-License-Identifier: Apache-2.0
#include "sample/status.h"

#include <errno.h>
#include <stdlib.h>

const uint64_t status_pause_bounds_ns[STATUS_PAUSE_BOUNDS] = {
	100000,	  250000,    500000,	1000000,   2500000,    5000000,	   10000000,	25000000,
	50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 10000000000,
};

int status_new(struct status **out)
{
	struct status *status = calloc(1, sizeof(*status));

	if (!status)
		return -ENOMEM;
	*out = status;
	return 0;
}

void status_free(struct status *status)
{
	if (!status)
		return;
	free(status->lost);
	free(status->stacks);
	for (size_t i = 0; i < status->target_count; i++)
		free(status->targets[i].pauses);
	free(status->targets);
	free(status);
}
