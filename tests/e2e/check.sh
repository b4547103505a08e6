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

test_files() {
    cc_program files <<'END'
#include <stdio.h>
int main(int n, char **v)
{
    static const char *const names[] = {"/proc/cpuinfo", "/proc/self/maps", "/proc/nothing", "/dev/null", "/sys/none",
                                        "/proc/%d/stat", "/proc/%d/lost", "/proc/%s/any", "/dev/shm/mine"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        printf(names[i], n, v);
    return fopen(names[n], "r") == NULL;
}
END
    ops check ./files
    want_out_has '^missing +/proc/nothing +text +.*/files'
    want_out_has '^missing +/sys/none +text'
    want_out_has '^missing +/proc/%d/lost +text'
    for known in /proc/cpuinfo /proc/self/maps /dev/null /proc/%d/stat /proc/%s/any /dev/shm/mine; do
        want_out_lacks " $known "
    done
    ops check --json ./files
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/check-list.json" <"$T/out" || fail "not as the schema says"
}

# The list of the kernel's own files is what it shows.
test_list_of_files() {
    command -v busybox >/dev/null || skip "no busybox"
    "$E2E_TREE/scripts/special-files" "$O" >now
    diff "$E2E_TREE/kernel/FILES" now >why || fail "make it again: scripts/special-files > kernel/FILES: $(head -n 5 why)"
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
