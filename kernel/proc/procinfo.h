/* SPDX-License-Identifier: Apache-2.0 */
/* What the process tells about itself in /proc, and about the CPUs in /proc and /sys. */
#pragma once

#include "fs/seq.h"
#include "lib/types.h"

/* Registers the files with procfs; before procfs_create(). -ENOMEM. */
int procinfo_init(void);
/* A line for each thread, as `read threads` of include/ops/control.h wants them. */
void procinfo_threads(struct seq *out);
/* Its part about the address space. */
int procmem_init(void);
/* Its part about what has been done: interrupts, switches, load, bytes. */
int activity_init(void);
/* The line of /proc/self/maps for the mapping that holds addr; false if there is none. */
bool procmem_describe(uint64_t addr, char *buf, size_t n);
/* The CPUs' files, once all have started. -ENOMEM. */
int cpuinfo_init(void);
