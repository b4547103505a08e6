#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ops check`: what a program can ask for that the kernel does not have.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=60

test_by_number() {
    cc_program direct -static -nostdlib -ffreestanding <<'END'
static long call(void)
{
    long r;
    __asm__ volatile("mov $425, %%eax\n\tsyscall" : "=a"(r) : : "rcx", "r11", "memory"); /* io_uring_setup */
    return r;
}
void _start(void)
{
    call();
    __asm__ volatile("mov $231, %%eax\n\txor %%edi, %%edi\n\tsyscall" : : : "rax", "rdi");
}
END
    ops check ./direct
    want_status 0
    want_out_has '^missing +io_uring_setup +number +.*/direct'
    want_out_lacks exit_group
}

test_by_name() {
    cc_program imports <<'END'
#include <sys/ptrace.h>
#include <unistd.h>
#include <stdio.h>
int main(void)
{
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    return fork() == 0;
}
END
    ops check ./imports
    want_out_has '^refused +fork +name +.*/imports +refused: one image is one process'
    want_out_has '^refused +ptrace +name'
    want_err '[0-9]+ files looked at, without the C library'
    ops check --json ./imports
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/check-list.json" <"$T/out" || fail "not as the schema says"
}

test_nothing_is_missing() {
    cc_program plain <<'END'
#include <stdio.h>
int main(void) { return puts("hello") < 0; }
END
    ops check ./plain
    want_status 0
    want_out ''
    ops pkg from-run --name plain ./plain
    ops check pkg:plain
    want_status 0
    want_out ''
    ops check -a ./plain
    want_status 0
}

test_errors() {
    ops check
    want_error 2 'no program is given'
    ops check ./none
    want_error 1 'cannot open ./none: no such file'
    echo text >text
    ops check ./text
    want_status 1
}

e2e_main "$@"
