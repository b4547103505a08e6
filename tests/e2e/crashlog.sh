#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a machine leaves on its disk when it ends badly, and `ops image log`; how clouds end it well.
. "$(dirname "$0")/lib.sh"

# boot DISK WORD...: a PC that boots it, until it powers itself off; its serial line is in ./serial.
boot() {
    local disk=$1
    shift
    timeout $E2E_LIMIT qemu-system-x86_64 -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot \
        -serial stdio "$@" ${disk:+-drive file=$disk,format=raw,if=virtio} >serial 2>err </dev/null
    STATUS=$?
    [ $STATUS != 124 ] || fail "no end: $(tail -c 300 serial)"
}

json() { python3 -c "import json, sys; l = json.load(open('out')); print($1)"; }

build() {
    ops build -o disk "$@"
    want_status 0
}

crasher() {
    cc_program app -g -fno-omit-frame-pointer -static <<'C'
#include <stdlib.h>
#include <string.h>
#include <signal.h>
__attribute__((noinline)) static int inner(volatile int *p) { *p = 1; return *p + 1; }
__attribute__((noinline)) static int outer(volatile int *p) { return inner(p) + 1; }
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "segv"))
        return outer((int *)0x123);
    if (argc > 1 && !strcmp(argv[1], "term"))
        raise(SIGTERM);
    return argc > 1 ? atoi(argv[1]) : 0;
}
C
}

test_signal() {
    crasher
    build ./app segv
    ops image log disk --json
    want_status 0
    want_out '[]'
    boot disk -M q35 -smp 2
    ops image log disk
    want_status 0
    want_out_has '^1  20[0-9-]*T[0-9:.]*Z  signal 11  kernel '
    want_out_has '^  write to 0x123 \(nothing is mapped there\) at 0x[0-9a-f]* \(/.*app\+0x[0-9a-f]*\)'
    want_out_has '^    crash rip [0-9a-f]{16}'
    want_out_has '^    frame pc [0-9a-f]* [0-9a-f]* /.*app$'
    [ "$(grep -c '^    frame call .*app$' out)" -ge 2 ] || fail "no backtrace: $(cat out)"
    want_out_has '^    clock: TSC at'
    boot '' -M pc -device virtio-scsi-pci -drive if=none,id=d,file=disk,format=raw -device scsi-hd,drive=d
    ops image log disk --json
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/image-log.json" <out || fail "not as its schema says: $(cat out)"
    [ "$(json '[(r["number"], r["kind"], r["status"]) for r in l]')" = "[(1, 'signal', 11), (2, 'signal', 11)]" ] || fail "$(cat out)"
}

# What ended well leaves nothing; of the others the last eight stay, whatever a writer was in the middle of.
test_exits() {
    crasher
    build ./app
    cp disk fresh
    boot disk -M q35
    ops image log disk
    want_out ''
    build ./app 7
    for n in 1 2 3 4 5 6 7 8 9 10; do
        boot disk -M q35
    done
    ops image log disk --json
    [ "$(json '([r["number"] for r in l], {r["kind"] for r in l}, {r["status"] for r in l})')" = "([3, 4, 5, 6, 7, 8, 9, 10], {'exit'}, {7})" ] || fail "$(cat out)"
    [ "$(json 'l[0]["reason"]')" = 'the program ended with 7' ] || fail "$(cat out)"
    python3 - <<'END'
d = open("disk", "r+b")
def flip(at):
    d.seek(at)
    b = d.read(1)[0]
    d.seek(at)
    d.write(bytes([b ^ 4]))
flip(65536 + 8192 * 3 + 260)     # in the text of number 3
flip(65536 + 8192 * 4)           # in the magic of 4
flip(65536 + 8192 * 5 + 15)      # 5 claims to be long
END
    ops image log disk --json
    want_status 0
    [ "$(json '[r["number"] for r in l]')" = "[6, 7, 8, 9, 10]" ] || fail "$(cat out)"
    boot disk -M q35
    ops image log disk --json
    [ "$(json '[r["number"] for r in l]')" = "[6, 7, 8, 9, 10, 11]" ] || fail "$(cat out)"
}

# panic_in MACHINE...: boots ./disk and breaks the kernel: getppid becomes no instruction.
panic_in() {
    rm -f gdb.sock
    "$@" -gdb "unix:$T/gdb.sock,server=on,wait=off" >serial 2>err </dev/null &
    local pid=$!
    wait_for 40 grep -qs ready serial || fail "no start: $(tail -c 300 serial) $(said)"
    python3 - "$(nm "$O/kernel.debug.elf" | awk '$3 == "sys_getppid" {print $1}')" <<'END' || fail "no answer from gdb's stub"
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("gdb.sock")
s.settimeout(20)
def ask(text):
    got = b""
    s.sendall(b"$" + text.encode() + b"#%02x" % (sum(text.encode()) & 255))
    while b"OK#" not in got: # it also tells that the machine has stopped
        assert b"$E" not in got, got
        got += s.recv(4096)
        s.sendall(b"+")
ask(f"M{sys.argv[1]},2:0f0b")
s.sendall(b"$c#63")
try:
    while s.recv(4096): # as long as the machine runs
        pass
except ConnectionResetError: # it ended with something of ours unread
    pass
END
    wait $pid
    STATUS=$?
    grep -q 'ops: kernel panic' serial || fail "status $STATUS and no panic: $(tail -c 300 serial)"
}

test_panic() {
    cc_program app -static <<'C'
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    puts("ready");
    fflush(stdout);
    for (;;) {
        usleep(10000);
        getppid();
    }
}
C
    local qemu="timeout $E2E_LIMIT qemu-system-x86_64 -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot -serial stdio"
    build --read-only ./app
    cp disk before
    panic_in $qemu -M q35 -smp 1 -drive file=disk,format=raw,if=virtio
    ops image log disk
    want_out_has '^1  .*  panic 0  kernel '
    want_out_has '^  invalid opcode'
    want_out_has '^ *at  *0xffffffff8[0-9a-f]* sys_getppid\+0'
    want_out_has '^    clock: TSC at'
    panic_in $qemu -M q35 -smp 2 -drive file=disk,format=raw,if=virtio
    panic_in $qemu -M pc -smp 2 -device virtio-scsi-pci -drive if=none,id=d,file=disk,format=raw -device scsi-hd,drive=d
    ops image log disk --json
    [ "$(json '[(r["number"], r["kind"]) for r in l]')" = "[(1, 'panic'), (2, 'panic'), (3, 'panic')]" ] || fail "$(cat out)"
    # Nothing but the records has changed.
    python3 - <<'END' || fail "the disk has changed elsewhere"
a, b = open("before", "rb").read(), open("disk", "rb").read()
assert len(a) == len(b)
assert a[:65536] == b[:65536] and a[65536:131072] != b[65536:131072] and a[131072:] == b[131072:]
END
}

test_log_errors() {
    truncate -s 1M empty
    ops image log empty
    want_error 1 'has no partition for records' 'ops build'
    ops image log nosuch
    want_error 1 'nosuch'
    ops image log
    want_status 2
}

# A cloud's stop: the button, SIGTERM, the program's own end, power off. On both of QEMU's PCs, booted by
# GRUB; nothing but the power tells QEMU.
test_power_button() {
    cc_program app -static <<'C'
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static volatile int asked;
static void stop(int n) { asked = n; }
int main(int argc, char **argv)
{
    if (argc > 1)
        signal(SIGTERM, stop);
    puts("ready");
    fflush(stdout);
    while (!asked)
        pause();
    printf("asked by %d\n", asked);
    return 3;
}
C
    local machine words end
    for machine in ${MACHINES:-q35 pc}; do
        for words in handled ''; do
            build ./app $words
            rm -f qmp
            timeout $E2E_LIMIT qemu-system-x86_64 -M $machine -accel tcg -cpu max -smp 2 -m 256 -nodefaults -display none \
                -no-reboot -serial stdio -drive file=disk,format=raw,if=virtio -qmp "unix:$T/qmp,server=on,wait=off" \
                >serial 2>err </dev/null &
            wait_for 40 grep -qs ready serial || fail "$machine: no start: $(tail -c 300 serial)"
            qmp system_powerdown
            wait $!
            STATUS=$?
            [ $STATUS = 0 ] || fail "$machine $words: status $STATUS: $(tail -c 300 serial)"
            tr -d '\r' <serial >clean
            end=143
            [ -z "$words" ] || end=3
            grep -qx "ops: exit status $end" clean || fail "$machine: $(tail -c 300 clean)"
            [ -z "$words" ] || grep -qx 'asked by 15' clean || fail "$machine: $(tail -c 300 clean)"
        done
    done
}

e2e_main "$@"
