/* SPDX-License-Identifier: Apache-2.0 */
/* Names of all system calls Linux has, from the installed UAPI headers (kernel/build.mk). */
#include "syscall/dispatch.h"

static const char *const names[SYSCALL_TABLE_SIZE] = {
#include "syscall_names.inc"
};

const char *syscall_name(uint64_t nr)
{
    return nr < SYSCALL_TABLE_SIZE ? names[nr] : NULL;
}
