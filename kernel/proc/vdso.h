/* SPDX-License-Identifier: Apache-2.0 */
/* The vDSO: a small shared object of ours that reads the clock without a system call. */
#pragma once

#include "lib/types.h"

/* Maps the clock page and the image behind it below `top`. -ENOMEM. */
int vdso_map(uint64_t top);
/* Where its ELF header is (AT_SYSINFO_EHDR). */
uint64_t vdso_base(void);
