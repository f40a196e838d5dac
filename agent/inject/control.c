// SPDX-License-Identifier: Apache-2.0
#include "inject/control.h"

#include <errno.h>
#include <stddef.h>

static int check(const struct tracee *memory, uint64_t at)
{
	struct sampler head;
	int err;

	err = tracee_read(memory, at, &head, offsetof(struct sampler, entries));
	if (err)
		return err;
	if (head.magic != SAMPLER_MAGIC || head.version != SAMPLER_VERSION ||
	    head.bytes != sizeof(head) || head.entry_bytes != sizeof(head.entries[0]) ||
	    head.entry_count != SAMPLER_FUNCTIONS)
		return -EBADMSG;
	return 0;
}

bool control_is_there(const struct tracee *memory, const struct control *control)
{
	return check(memory, control->at) == 0;
}

int control_read(const struct tracee *memory, struct control *control)
{
	int err;

	err = tracee_read(memory, control->at + offsetof(struct sampler, entries), control->entries,
			  sizeof(control->entries));
	for (size_t i = 0; i < SAMPLER_FUNCTIONS; i++)
		control->entries[i].name[SAMPLER_NAME_BYTES - 1] = '\0';
	return err;
}

int control_find(const struct tracee *memory, const struct loaded_list *list, struct control *out)
{
	const struct loaded *library = NULL, *first = NULL;
	struct loaded_symbol symbol, malloc_symbol;
	int err;

	err = loaded_find_first(memory, list, SAMPLER_SYMBOL, &symbol, &library);
	if (err)
		return err;
	*out = (struct control){ .at = symbol.address, .bias = library->bias };
	if (loaded_find_first(memory, list, "malloc", &malloc_symbol, &first) == 0)
		out->is_first = first == library;
	out->is_preloaded = out->is_first || library < list->items + list->early_count;
	err = check(memory, out->at);
	return err ?: control_read(memory, out);
}

int control_set_real(const struct tracee *memory, struct control *control, size_t i, uint64_t real)
{
	control->entries[i].real = (void *)(uintptr_t)real;
	return tracee_write(memory,
			    control->at + offsetof(struct sampler, entries) +
				    i * sizeof(struct sampler_entry) +
				    offsetof(struct sampler_entry, real),
			    &real, sizeof(real));
}

static int write_switch(const struct tracee *memory, const struct control *control, uint32_t is_on)
{
	return tracee_write(memory, control->at + offsetof(struct sampler, is_on), &is_on,
			    sizeof(is_on));
}

int control_switch_on(const struct tracee *memory, const struct control *control,
		      uint64_t interval_bytes)
{
	int err = 0;

	if (interval_bytes != 0)
		err = tracee_write(memory, control->at + offsetof(struct sampler, interval_bytes),
				   &interval_bytes, sizeof(interval_bytes));
	return err ?: write_switch(memory, control, SAMPLER_ON_BY_AGENT);
}

int control_switch_off(const struct tracee *memory, const struct control *control)
{
	return write_switch(memory, control, SAMPLER_OFF);
}

static uint64_t read_counter(const struct tracee *memory, uint64_t at)
{
	uint64_t value;

	return tracee_read(memory, at, &value, sizeof(value)) ? 0 : value;
}

uint64_t control_sampled(const struct tracee *memory, const struct control *control)
{
	return read_counter(memory, control->at + offsetof(struct sampler, sampled));
}

uint64_t control_untracked(const struct tracee *memory, const struct control *control)
{
	return read_counter(memory, control->at + offsetof(struct sampler, untracked));
}
