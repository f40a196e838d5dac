/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: the sampler's switchboard (sampler/sampler.h) in the memory of another process. Any
 * thread.
 */
#ifndef PPROFD_INJECT_CONTROL_H
#define PPROFD_INJECT_CONTROL_H

#include "inject/loaded.h"
#include "inject/tracee.h"
#include "sampler/sampler.h"

#include <stdbool.h>

struct control {
	uint64_t at;
	uint64_t bias; /* of the library */
	bool is_preloaded; /* it came with the program */
	bool is_first; /* calls reach it without help */
	struct sampler_entry entries[SAMPLER_FUNCTIONS]; /* a copy, its names terminated */
};

/*
 * Finds it among the objects. Returns 0, -ENOENT if there is none, -EBADMSG if it is none that this
 * agent knows, or -errno.
 */
__attribute__((warn_unused_result)) int control_find(const struct tracee *memory,
						     const struct loaded_list *list,
						     struct control *out);

/* Whether it is where it was found: the image may have gone. */
bool control_is_there(const struct tracee *memory, const struct control *control);

/* Reads the entries again. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int control_read(const struct tracee *memory,
						     struct control *control);

/* Its counters; 0 if they cannot be read. */
uint64_t control_sampled(const struct tracee *memory, const struct control *control);
uint64_t control_untracked(const struct tracee *memory, const struct control *control);

/* Has wrapper i call this function. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int control_set_real(const struct tracee *memory,
							 struct control *control, size_t i,
							 uint64_t real);

/* interval_bytes 0: as it is. Return 0 or -errno. */
__attribute__((warn_unused_result)) int control_switch_on(const struct tracee *memory,
							  const struct control *control,
							  uint64_t interval_bytes);
__attribute__((warn_unused_result)) int control_switch_off(const struct tracee *memory,
							   const struct control *control);

#endif
