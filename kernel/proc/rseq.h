/* SPDX-License-Identifier: Apache-2.0 */
/* Restartable sequences (rseq(2)): the CPU's number in user memory, and sequences that abort. */
#pragma once

#include "lib/types.h"

struct trap_frame;

/* Registers the caller's area, or takes it back. -EINVAL, -EBUSY, -EPERM, -EFAULT. */
int rseq_register(uint64_t addr, uint32_t len, int flags, uint32_t signature);
/* Before user mode, after a switch or a signal: writes the CPU, leaves a sequence by its abort. */
void rseq_fixup(struct trap_frame *f);
