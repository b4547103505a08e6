/* SPDX-License-Identifier: Apache-2.0 */
/* The files of /proc that tell about the process, its memory and the CPUs. */
#pragma once

/* Registers them; before the mounts. -ENOMEM. */
int procinfo_init(void);
