// SPDX-License-Identifier: Apache-2.0
#include "inject/look.h"
#include "inject/control.h"
#include "inject/loaded.h"
#include "inject/tracee.h"

#include <stddef.h>

/* One that was only loaded has never been switched on. */
static int read_switch(const struct tracee *memory, const struct control *control, bool *is_used)
{
	uint32_t is_on;
	int err = tracee_read(memory, control->at + offsetof(struct sampler, is_on), &is_on,
			      sizeof(is_on));

	*is_used = control->is_preloaded ? is_on != SAMPLER_OFF : is_on == SAMPLER_ON_BY_AGENT;
	return err;
}

static int look_in(const struct tracee *memory, struct look *out)
{
	struct loaded_list list;
	struct control control;
	bool is_used;
	int err = loaded_read(memory, &list);

	if (err)
		return err;
	err = control_find(memory, &list, &control);
	loaded_fini(&list);
	err = err ?: read_switch(memory, &control, &is_used);
	if (!err)
		*out = (struct look){ is_used, control_untracked(memory, &control) };
	return err;
}

int look_at_sampler(pid_t pid, struct look *out)
{
	struct tracee memory;
	int err = tracee_init(pid, &memory);

	if (err)
		return err;
	err = look_in(&memory, out);
	tracee_fini(&memory);
	return err;
}
