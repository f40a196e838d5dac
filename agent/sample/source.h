/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source: where memory samples may come from. Of what a target has, the first is used; the Go
 * runtime's records stand beside the others, since they are of another heap.
 */
#ifndef PPROFD_SAMPLE_SOURCE_H
#define PPROFD_SAMPLE_SOURCE_H

#define SOURCE_SAMPLER 1U /* libpprofd.so in the target */
#define SOURCE_USDT 2U /* whoever else emits otel_memory probes */
#define SOURCE_GO 4U /* the Go runtime's own records */
#define SOURCE_PROBES 8U /* uprobes on the allocator */
#define SOURCE_ALL 15U

#endif
