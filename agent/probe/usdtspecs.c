// SPDX-License-Identifier: Apache-2.0
#include "probe/usdtspecs.h"
#include "base/table.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

_Static_assert(USDT_MAX_SPECS <= UINT16_MAX, "cookies have 16 bits for the number");

struct usdtspecs {
	int map_fd;
	struct table *numbers; /* struct usdt_spec; the index is the number */
};

int usdtspecs_new(int map_fd, struct usdtspecs **out)
{
	struct usdtspecs *specs = calloc(1, sizeof(*specs));
	int err;

	if (!specs)
		return -ENOMEM;
	specs->map_fd = map_fd;
	err = table_new(sizeof(struct usdt_spec), sizeof(struct usdt_spec), USDT_MAX_SPECS,
			&specs->numbers);
	if (err) {
		usdtspecs_free(specs);
		return err;
	}
	*out = specs;
	return 0;
}

void usdtspecs_free(struct usdtspecs *specs)
{
	if (!specs)
		return;
	table_free(specs->numbers);
	free(specs);
}

int usdtspecs_add(struct usdtspecs *specs, const struct usdt_spec *spec, uint16_t *number)
{
	uint32_t index;
	bool added;
	int err;

	err = table_add(specs->numbers, spec, &index, &added);
	if (err)
		return err;
	if (added) {
		err = bpf_map_update_elem(specs->map_fd, &index, spec, BPF_ANY);
		if (err) {
			table_remove(specs->numbers, index);
			return err;
		}
	}
	*number = (uint16_t)index;
	return 0;
}
