/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi_interp: runs call frame instructions: the code of one FDE becomes the rules of its addresses.
 *
 * Work is bounded by the bytes of the code: each instruction takes at least one of them and gives
 * at most one rule. Any thread.
 */
#ifndef PPROFD_OBJECT_CFI_INTERP_H
#define PPROFD_OBJECT_CFI_INTERP_H

#include "bpf/table.h"
#include "object/cfi_expr.h"
#include "object/dwarf_reader.h"

#include <stdbool.h>
#include <stdint.h>

/* What holds at one address; zeroed, nothing was said. */
struct cfi_state {
	struct cfi_cfa cfa;
	struct cfi_place rbp, rsp, ra;
};

/* What the instructions of an FDE refer to in its CIE. */
struct cfi_cie {
	uint64_t code_align;
	int64_t data_align;
	uint8_t encoding; /* of addresses, enum dwarf_pointer */
	bool has_augmentation_size; /* FDEs have augmentation data, too */
	bool is_signal; /* FDEs describe signal frames */
	struct cfi_state initial;
};

/* A function's addresses and its instructions. */
struct cfi_fde {
	uint64_t start, end;
	struct dwarf_reader code;
};

/* Takes the rule that holds from pc on; what it returns but 0 ends the run. */
typedef int cfi_interp_emit(uint64_t pc, const struct unwind_rule *rule, void *arg);

/*
 * Sets cie->initial to what the CIE's own instructions say.
 * Returns 0, or -EBADMSG if they are malformed or nested too deep.
 */
__attribute__((warn_unused_result)) int cfi_interp_init(struct cfi_cie *cie,
							struct dwarf_reader code);

/*
 * Emits the rules of fde from start on: rising addresses below end, neighbours may be equal.
 * Returns 0, -EBADMSG if the instructions are malformed or nested too deep, or what emit returned.
 */
__attribute__((warn_unused_result)) int cfi_interp_run(const struct cfi_cie *cie,
						       const struct cfi_fde *fde,
						       cfi_interp_emit *emit, void *arg);

#endif
