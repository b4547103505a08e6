/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's firmware configuration device by ports 0x510/0x511: facts about the machine. */
#pragma once

#include "lib/types.h"

/* CPUs present at boot. -ENODEV where there is no such device. */
int fwcfg_cpu_count(unsigned *count);
