/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbol: names of addresses in the protocol that pprof's tools speak when they symbolize remotely.
 */
#ifndef PPROFD_HTTP_SYMBOL_H
#define PPROFD_HTTP_SYMBOL_H

#include "base/buf.h"
#include "sample/snapshot.h"

/*
 * Appends "num_symbols: 1" and a line "0xA name" for each address of text ("0xA+0xB", len bytes)
 * that the target's mappings resolve. text may be empty; only then may target be NULL. Any thread;
 * loading symbol tables may take long. A failure to append sticks to out.
 */
void symbol_write(const struct snapshot *target, const char *text, size_t len, struct buf *out);

#endif
