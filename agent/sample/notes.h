/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notes: places probes where a process's files offer them: where runtimes collect garbage, and
 * where a sampler tells of allocations.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_NOTES_H
#define PPROFD_SAMPLE_NOTES_H

#include <stdbool.h>
#include <stdint.h>

struct kernel;
struct notes_finder;
struct process;

/*
 * Looks for what collect (EVENT_COLLECT_*) and sources (SOURCE_*) ask for, and remembers what it
 * found in files. The kernel is borrowed. Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int notes_finder_new(const struct kernel *kernel,
							 uint32_t collect, uint32_t sources,
							 struct notes_finder **out);
void notes_finder_free(struct notes_finder *finder);

#define NOTES_TEXT_BYTES 128

/* What a process's files offer. */
struct notes_found {
	bool has_emitter, has_sampler; /* of allocations; the sampler is libpprofd.so */
	char gc[NOTES_TEXT_BYTES]; /* which runtimes' pauses are seen, and which not and why; or ""
				    */
};

/*
 * Places the probes that are not there yet, and adds to out, zeroed, what is there now. Returns 0,
 * -ESRCH if the process is gone, -ENOMEM or another -errno; probes that were placed stay.
 */
__attribute__((warn_unused_result)) int notes_place(struct notes_finder *finder,
						    struct process *process,
						    struct notes_found *out);

#endif
