/* SPDX-License-Identifier: Apache-2.0 */
/* Prototypes of every sys_<name>(), made from table.def. */
#pragma once

#include "lib/types.h"
#include "vm/uaccess.h"

#define SYSARG_fd    int
#define SYSARG_int   int
#define SYSARG_uint  unsigned
#define SYSARG_flags unsigned
#define SYSARG_mode  unsigned
#define SYSARG_long  long
#define SYSARG_ulong unsigned long
#define SYSARG_size  unsigned long
#define SYSARG_off   int64_t
#define SYSARG_uptr  struct uptr
#define SYSARG_path  struct uptr
#define SYSARG_str   struct uptr

#define SYS0(nr, name, note)                 long sys_##name(void);
#define SYS1(nr, name, note, t1, a1)         long sys_##name(SYSARG_##t1 a1);
#define SYS2(nr, name, note, t1, a1, t2, a2) long sys_##name(SYSARG_##t1 a1, SYSARG_##t2 a2);
#define SYS3(nr, name, note, t1, a1, t2, a2, t3, a3)                                               \
    long sys_##name(SYSARG_##t1 a1, SYSARG_##t2 a2, SYSARG_##t3 a3);
#define SYS4(nr, name, note, t1, a1, t2, a2, t3, a3, t4, a4)                                       \
    long sys_##name(SYSARG_##t1 a1, SYSARG_##t2 a2, SYSARG_##t3 a3, SYSARG_##t4 a4);
#define SYS5(nr, name, note, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)                               \
    long sys_##name(SYSARG_##t1 a1, SYSARG_##t2 a2, SYSARG_##t3 a3, SYSARG_##t4 a4, SYSARG_##t5 a5);
#define SYS6(nr, name, note, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6)                       \
    long sys_##name(SYSARG_##t1 a1, SYSARG_##t2 a2, SYSARG_##t3 a3, SYSARG_##t4 a4,                \
                    SYSARG_##t5 a5, SYSARG_##t6 a6);

/* SYSF: the function sees or replaces the whole frame (arch/x86_64/syscall.S). */
#define SYSF0 SYS0
#define SYSF2 SYS2
#define SYSF3 SYS3
#define SYSF5 SYS5

#include "syscall/table.def"

#undef SYSF0
#undef SYSF2
#undef SYSF3
#undef SYSF5

#undef SYS0
#undef SYS1
#undef SYS2
#undef SYS3
#undef SYS4
#undef SYS5
#undef SYS6
