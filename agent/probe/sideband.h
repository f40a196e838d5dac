/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sideband: which processes have mapped code, as perf events tell.
 *
 * The records only say where to look: they are not kept in step with the samples. There is no
 * record of an munmap. Pipeline's thread only.
 */
#ifndef PPROFD_PROBE_SIDEBAND_H
#define PPROFD_PROBE_SIDEBAND_H

#include <sys/types.h>

struct sideband;

/* Opens an event on every CPU that is on line. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int sideband_new(struct sideband **out);
void sideband_free(struct sideband *sideband);

/* Readable when there is something to fetch. */
int sideband_fd(const struct sideband *sideband);

/*
 * Calls visit for the process of each record, in the agent's PID namespace; 0 stands for any
 * process, since records were lost.
 */
void sideband_fetch(struct sideband *sideband, void (*visit)(void *arg, pid_t pid), void *arg);

#endif
