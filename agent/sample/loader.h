/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader: puts the in-process sampler into targets, where --inject asks for it.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_LOADER_H
#define PPROFD_SAMPLE_LOADER_H

#include "sample/process.h"

struct loader;

/*
 * The libraries are looked for beside the agent's own file. Returns 0, -ENOENT if they are not
 * there, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int loader_new(struct loader **out);
void loader_free(struct loader *loader);

/*
 * Loads the sampler into the process unless that was done or refused for good, else leads the calls
 * of objects that have come since. Call it every second or so. What is refused is told to the
 * store; then probes stay.
 */
void loader_serve(struct loader *loader, const struct watcher_options *options,
		  struct process *process);

#endif
