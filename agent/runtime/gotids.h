/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gotids: from a thread's number as the process knows it to the number here.
 *
 * They differ where the process lives in a PID namespace below the agent's. Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOTIDS_H
#define PPROFD_RUNTIME_GOTIDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct table;

struct gotids {
	pid_t pid;
	bool is_read, is_same; /* is_same: there is one namespace only */
	struct table *tids; /* by the process's number; NULL where is_same */
};

#define GOTIDS_MAX 65536U /* threads; those beyond are not found */

/* For one moment: threads come and go. Reads nothing yet. */
void gotids_init(struct gotids *tids, pid_t pid);
void gotids_fini(struct gotids *tids);

/* The thread's number in the agent's PID namespace; 0 where it has none (any more). */
int32_t gotids_find(struct gotids *tids, uint64_t number);

/* The last number of NSpid in a text as of /proc/PID/status, and how many there are; 0 where it has
 * none. Exposed for its test. */
uint64_t gotids_parse(const char *status, unsigned *levels);

#endif
