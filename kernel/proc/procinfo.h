/* SPDX-License-Identifier: Apache-2.0 */
/* What the process tells about itself in /proc, and about the CPUs in /proc and /sys. */
#pragma once

/* Registers the files with procfs; before procfs_create(). -ENOMEM. */
int procinfo_init(void);
/* Its part about the address space. */
int procmem_init(void);
/* The CPUs' files, once all have started. -ENOMEM. */
int cpuinfo_init(void);
