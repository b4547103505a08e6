#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ceilings that noise does not move: instructions of a boot, of a system call, and
# the kernel's size. The program is the benchmark's (tests/bench/guest/).
. "$(dirname "$0")/lib.sh"

BOOT_MAX=550000 # about 6 % above what a boot takes now: 517,000
GETPPID_MAX=60
KERNEL_KIB_MAX=768
IDLE_MAX=2 # a second

# guest_with OPTION...: builds ./guest, and QEMU with more options for `ops`.
guest_with() {
    musl-gcc -O2 -pthread -static -no-pie -o guest "$E2E_TREE"/tests/bench/guest/*.c || fail "cannot compile"
    printf '#!/bin/sh\nexec qemu-system-x86_64 "$@" %s\n' "$*" >qemu
    chmod +x qemu
    export OPS_QEMU=$T/qemu
}

test_boot_instructions() {
    local main count
    # One line for every instruction executed outside the firmware.
    guest_with -singlestep -d exec,nochain -D "$T/log" \
        -dfilter 0x100000..0x2ffffff,0xffffffff80000000+0x10000000
    ops run --accel tcg --no-system-files ./guest boot
    want_status 0
    main=$(nm guest | awk '$3 == "main" {print $1}')
    count=$(grep -n -m 1 "/$main/" log | cut -d: -f1)
    rm -f log
    [ -n "$count" ] || fail "main was not reached"
    [ "$count" -le $BOOT_MAX ] || fail "$count instructions from the kernel's entry to main, not $BOOT_MAX"
}

test_getppid_instructions() {
    local count
    # The guest's TSC counts instructions.
    guest_with -icount shift=0,sleep=off
    ops run --accel tcg --no-system-files ./guest call
    want_status 0
    count=$(awk '$1 == "getppid" {printf "%.0f", $3}' out)
    [ -n "$count" ] || fail "no count: $(cat out)"
    [ "$count" -le $GETPPID_MAX ] || fail "$count instructions for a getppid, not $GETPPID_MAX"
}

# An idle machine sleeps: what interrupts it while its program does.
test_idle_wakeups() {
    local rate smp
    guest_with
    for smp in 1 2; do
        ops run --smp $smp --no-system-files ./guest idle
        want_status 0
        rate=$(awk '$1 == "wakeups" {print $2}' out)
        [ -n "$rate" ] || fail "no rate: $(cat out)"
        awk "BEGIN {exit !($rate <= $IDLE_MAX)}" || fail "$rate interrupts a second with $smp CPUs, not $IDLE_MAX"
    done
}

test_kernel_size() {
    local kib=$(($(stat -c %s "$O/kernel.elf") / 1024))
    [ $kib -le $KERNEL_KIB_MAX ] || fail "kernel.elf has $kib KiB, not $KERNEL_KIB_MAX"
}

e2e_main "$@"
