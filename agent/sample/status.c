// SPDX-License-Identifier: Apache-2.0
#include "sample/status.h"

#include <errno.h>
#include <stdlib.h>

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
	free(status->targets);
	free(status);
}
