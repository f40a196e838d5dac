/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usdtspecs: the ways in which probes' arguments are fetched, numbered for the cookies of the
 * probes, in the map that the programs read.
 *
 * Files have few distinct ones, so that none is ever taken out. Pipeline's thread only.
 */
#ifndef PPROFD_PROBE_USDTSPECS_H
#define PPROFD_PROBE_USDTSPECS_H

#include "bpf/usdt.h"

#include <stdint.h>

struct usdtspecs;

/* map_fd stays the caller's, and open. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int usdtspecs_new(int map_fd, struct usdtspecs **out);
void usdtspecs_free(struct usdtspecs *specs);

/* Stores the spec's number. Returns 0, -ENOSPC beyond USDT_MAX_SPECS, -ENOMEM or -errno. */
__attribute__((warn_unused_result)) int usdtspecs_add(struct usdtspecs *specs,
						      const struct usdt_spec *spec,
						      uint16_t *number);

#endif
