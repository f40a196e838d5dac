/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: one run of the agent: the stages wired, the loop, the teardown.
 */
#ifndef PPROFD_SESSION_H
#define PPROFD_SESSION_H

struct config;

/* Runs until a signal or the command's end. Returns the exit status. Errors are logged. */
int session_run(const struct config *config);

#endif
