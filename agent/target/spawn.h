/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn: starts a command and holds it where its libraries are mapped and nothing has run.
 *
 * The thread that calls spawn_command() must make the other calls, too (ptrace).
 */
#ifndef PPROFD_TARGET_SPAWN_H
#define PPROFD_TARGET_SPAWN_H

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

/* What the caller has changed for itself and the command is not to inherit. */
struct spawn_legacy {
	struct rlimit files; /* RLIMIT_NOFILE */
	void (*sigpipe)(int); /* disposition */
};

/* Raises the limit of open files and ignores SIGPIPE; stores how they were. */
void spawn_save_legacy(struct spawn_legacy *out);

/*
 * Starts argv[0], found as by execvp(3), with an empty signal mask and the legacy, and stops it
 * before its first instruction: in a static program at the entry of its image, else where the
 * dynamic linker has mapped all libraries and run no constructor. Returns 0, the -errno of exec, or
 * -ECHILD if the command ended before it came there, with its wait status stored.
 */
__attribute__((warn_unused_result)) int spawn_command(char *const *argv,
						      const struct spawn_legacy *legacy, pid_t *pid,
						      int *wait_status);

/* Lets it run, traced no longer. Returns 0 or -errno. */
int spawn_release(pid_t pid);

#endif
