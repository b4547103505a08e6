#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The relay between the emulator and the world, against a stand-in for QEMU:
# streams, exit statuses, signals, the control channel, dead emulators.
. "$(dirname "$0")/lib.sh"

# fake SHELL-TEXT [OPTION...]: `ops run` of a trivial program on the stand-in.
fake_setup() {
    [ -e "$T/kernel.elf" ] || : >"$T/kernel.elf"
    export OPS_QEMU=$E2E_DIR/fake-qemu FAKE_PID=$T/pid FAKE=$1
}
fake() {
    fake_setup "$1"
    shift
    ops run --kernel "$T/kernel.elf" "$@" /bin/true
}

test_exit_status() {
    for n in 0 1 77 127 255; do
        fake "echo exit $n >&\$CTL"
        want_status $n
        want_out ''
        want_no_err
    done
}

test_streams() {
    fake 'echo to stdout >&$OUT; echo to stderr >&$ERR; echo exit 0 >&$CTL'
    want_status 0
    want_out 'to stdout'
    want_err '^to stderr$'
}

test_large_output() {
    fake 'head -c 3000000 /dev/zero >&$OUT; echo exit 5 >&$CTL'
    want_status 5
    [ "$(wc -c <out)" = 3000000 ] || fail "$(wc -c <out) bytes of 3000000"
}

test_stdin_and_its_end() {
    fake_setup 'n=$(wc -c <&$IN); echo $n >&$OUT; echo exit 0 >&$CTL'
    head -c 500000 /dev/zero >input
    ops_input input run --kernel kernel.elf /bin/true
    want_status 0
    want_out 500000
}

test_stdin_closed() {
    fake_setup 'n=$(wc -c <&$IN); echo $n >&$OUT; echo exit 0 >&$CTL'
    "$OPS" run --kernel kernel.elf /bin/true >out 2>err <&-
    STATUS=$?
    want_status 0
    want_out 0
}

test_slow_reader() {
    fake_setup 'head -c 2000000 /dev/zero >&$OUT; echo exit 9 >&$CTL'
    n=$("$OPS" run --kernel kernel.elf /bin/true </dev/null | (sleep 0.5; wc -c); exit "${PIPESTATUS[0]}")
    STATUS=$?
    want_status 9
    [ "$n" = 2000000 ] || fail "$n bytes of 2000000"
}

test_reader_gone() {
    fake_setup 'trap "" PIPE; while read -r line <&$CTL; do echo "$line" >>control; [ "$line" = "signal 13" ] && break; done &
        while echo y >&$OUT; do :; done 2>/dev/null; wait; echo "killed 13 broken pipe" >&$CTL; echo exit 141 >&$CTL'
    "$OPS" run --kernel kernel.elf /bin/true </dev/null 2>err | head -1 >out
    STATUS=${PIPESTATUS[0]}
    want_status 141
    want_out y
    grep -qx 'signal 13' control || fail "no SIGPIPE was passed on: $(cat control)"
}

test_interrupt_reaches_program() {
    fake_setup 'read -r line <&$CTL; echo "got $line" >&$OUT; echo exit 130 >&$CTL'
    "$OPS" run --kernel kernel.elf /bin/true >out 2>err </dev/null &
    wait_for 10 test -s pid || fail "the stand-in did not start"
    kill -INT $!
    wait $!
    STATUS=$?
    want_status 130
    want_out 'got signal 2'
}

test_signals_are_passed_on() {
    for n in 1 3 15; do
        rm -f pid
        fake_setup 'read -r line <&$CTL; echo "$line" >&$OUT; echo exit 0 >&$CTL'
        "$OPS" run --kernel kernel.elf /bin/true >out 2>err </dev/null &
        wait_for 10 test -s pid || fail "the stand-in did not start"
        kill -$n $!
        wait $!
        want_out "signal $n"
    done
}

test_second_interrupt_ends_machine() {
    fake_setup 'trap "" INT; while :; do sleep 0.05; done'
    "$OPS" run --kernel kernel.elf /bin/true >out 2>err </dev/null &
    local tool=$!
    wait_for 10 test -s pid || fail "the stand-in did not start"
    kill -INT $tool
    sleep 0.2
    kill -INT $tool
    wait $tool
    STATUS=$?
    want_status 130
    ! kill -0 "$(cat pid)" 2>/dev/null || fail "QEMU lives on"
}

test_machine_that_ignores_sigterm() {
    fake_setup 'trap "" INT TERM; while :; do sleep 0.05; done'
    "$OPS" run --kernel kernel.elf /bin/true >out 2>err </dev/null &
    local tool=$!
    wait_for 10 test -s pid || fail "the stand-in did not start"
    kill -INT $tool
    sleep 0.2
    kill -INT $tool
    wait $tool
    ! kill -0 "$(cat pid)" 2>/dev/null || fail "QEMU lives on"
}

test_tool_killed() {
    fake_setup 'while :; do sleep 0.05; done'
    "$OPS" run --kernel kernel.elf /bin/true >out 2>err </dev/null &
    local tool=$!
    wait_for 10 test -s pid || fail "the stand-in did not start"
    kill -KILL $tool
    wait $tool 2>/dev/null
    qemu_gone() { ! kill -0 "$(cat pid)" 2>/dev/null; }
    wait_for 10 qemu_gone || fail "QEMU lives on after ops was killed"
}

test_machine_lingers_after_exit() {
    fake 'echo exit 4 >&$CTL; trap "" TERM; while :; do sleep 0.05; done'
    want_status 4
    ! kill -0 "$(cat pid)" 2>/dev/null || fail "QEMU lives on"
}

test_panic() {
    fake 'echo "registers and so on" >&$SER; echo "panic page fault in the kernel" >&$CTL; exit 35'
    want_error 125 'the kernel gave up: page fault in the kernel' 'report it'
    want_err '^registers and so on'
}

test_panic_without_control() {
    fake 'echo "PANIC: early" >&$SER; exit 35'
    want_error 125 'the kernel gave up' 'report it'
    want_err 'PANIC: early'
}

test_panic_that_hangs() {
    fake 'echo "ops: kernel panic on cpu 0: early" >&$SER; while :; do sleep 0.05; done'
    want_error 125 'the kernel gave up' 'report it'
    want_err 'panic on cpu 0: early'
}

test_machine_fails() {
    fake 'echo "qemu: no such device" >&2; exit 1'
    want_error 125 'without the program.s exit status .QEMU: status 1' '-v shows'
    want_err 'no such device'
}

test_machine_killed() {
    fake 'kill -SEGV $$'
    want_error 125 'QEMU: signal 11'
}

test_no_memory() {
    fake "echo \"cannot set up guest memory 'ram': Cannot allocate memory\" >&2; exit 1"
    want_error 125 'not enough memory' '-m'
}

test_program_killed() {
    fake 'echo "killed 11 read of 0x0 at pc 0x401000 (app+0x1000)\\nmore" >&$CTL; echo exit 139 >&$CTL'
    want_error 139 'ended by SIGSEGV: read of 0x0 at pc 0x401000' '--trace'
}

test_unsupported_call() {
    fake 'echo "unsupported fanotify_init" >&$CTL; echo exit 0 >&$CTL'
    want_status 0
    want_no_err
    fake 'echo "unsupported fanotify_init" >&$CTL; echo exit 1 >&$CTL'
    want_error 1 'system calls that are not there: fanotify_init' 'trace'
}

test_log_and_trace() {
    fake 'echo "log info hello\\\\x01" >&$CTL; echo "trace write(1) = 1" >&$CTL; echo exit 0 >&$CTL'
    want_no_err
    fake 'echo "log info hello" >&$CTL; echo "trace write(1) = 1" >&$CTL; echo exit 0 >&$CTL' -v --trace
    want_err '^kernel: hello'
    want_err '^write\(1\) = 1'
    want_err '^ops: .*fake-qemu'
    want_err '^ops: (emulation|KVM)'
}

test_nonsense_on_control() {
    fake 'head -c 100000 /dev/urandom >&$CTL; printf "\nexit\nexit 3\n" >&$CTL'
    want_status 3
}

test_no_qemu() {
    : >kernel.elf
    OPS_QEMU=/nonexistent/qemu ops run --kernel kernel.elf /bin/true
    want_error 1 'cannot find QEMU' 'apt install'
    PATH=/nonexistent "$OPS" run --kernel kernel.elf /bin/true >out 2>err </dev/null
    STATUS=$?
    want_error 1 'cannot find QEMU' 'apt install'
}

test_qemu_that_does_not_start() {
    : >kernel.elf
    printf '#!/nonexistent/interpreter\n' >bad-qemu
    chmod +x bad-qemu
    OPS_QEMU=$T/bad-qemu ops run --kernel kernel.elf /bin/true
    want_error 1 'cannot start .*bad-qemu'
}

test_nothing_left_in_tmp() {
    export TMPDIR=$T/tmp
    mkdir tmp
    fake 'echo exit 0 >&$CTL'
    [ -z "$(ls -A tmp)" ] || fail "left: $(ls tmp)"
    XDG_CACHE_HOME=/proc/nonexistent fake 'test -r ${FAKE_ROOT:-/dev/null}; echo exit 0 >&$CTL'
    want_status 0
    want_no_err
    [ -z "$(ls -A tmp)" ] || fail "left: $(ls tmp)"
}

e2e_main "$@"
