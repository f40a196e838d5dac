/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdso: the code that the kernel maps into every process without a file.
 */
#ifndef PPROFD_OBJECT_VDSO_H
#define PPROFD_OBJECT_VDSO_H

struct object;

/*
 * An object with a copy of the agent's own vdso, which all 64-bit processes of the machine share.
 * Returns 0, -ENOENT if there is none, -ENOMEM, or another -errno. Any thread; the caller frees it.
 */
__attribute__((warn_unused_result)) int vdso_object(struct object **out);

#endif
