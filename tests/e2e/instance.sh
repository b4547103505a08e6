#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Machines that run by themselves: `ops run -d` and `ops instance`, word for word, and
# what is left when somebody kills a part of them.
. "$(dirname "$0")/lib.sh"

# The program: writes `ready`, then does what its first argument says.
prepare() {
    export XDG_RUNTIME_DIR=$T/run
    RUN=$T/run/ops STORE=$XDG_STATE_HOME/ops/instances
    mkdir -p run
    trap 'processes | while read -r dir; do kill -9 "${dir#/proc/}"; done' EXIT
    cc_program app -static <<'C'
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void terminated(int number)
{
    (void)number;
    write(1, "bye\n", 4);
    _exit(9);
}
int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "", *more = argc > 2 ? argv[2] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGTERM, !strcmp(word, "deaf") ? SIG_IGN : terminated);
    puts("ready");
    if (!strcmp(word, "exit"))
        return atoi(more);
    if (!strcmp(word, "segv"))
        *(volatile int *)8 = 1;
    if (!strcmp(word, "lines"))
        for (int i = 0; i < atoi(more); i++)
            printf("line %d of the log, to fill it with something\n", i);
    if (!strcmp(word, "lines") && argc > 3)
        close(open(argv[3], O_WRONLY | O_CREAT, 0644));
    if (!strcmp(word, "both")) {
        write(1, "half", 4);
        write(2, "an error\n", 9);
        write(1, " and half\nno newline", 20);
        return 0;
    }
    if (!strcmp(word, "own")) { /* its own root: nobody else's file is there */
        int fd = open("/own", O_RDWR | O_CREAT | O_EXCL, 0644);
        char text[40] = "";
        write(fd, more, strlen(more));
        fsync(fd);
        puts("written");
        pread(fd, text, sizeof text, 0);
        puts(text);
    }
    for (;;)
        poll(NULL, 0, -1);
}
C
}

state() { # NAME: its state word
    "$OPS" instance inspect "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["state"])'
}

member() { # NAME KEY
    "$OPS" instance inspect "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1]))' "$2"
}

is_state() { [ "$(state "$1")" = "$2" ]; }
qemu_of() { cat "$RUN/$1/pid"; }
parent_of() { awk '/^PPid:/ {print $2}' "/proc/$1/status"; }
supervisor_of() { parent_of "$(parent_of "$(qemu_of "$1")")"; }
gone() { ! kill -0 "$1" 2>/dev/null; }

# Processes of this test: ops and QEMU that have its directory in their environment.
processes() {
    for dir in $(grep -lsz "^XDG_RUNTIME_DIR=$T/run$" /proc/[0-9]*/environ); do
        case $(readlink "${dir%/environ}/exe") in
        "$OPS" | *qemu-system*) echo "${dir%/environ}" ;;
        esac
    done
}

# Nothing is left: no process of this test, no file.
nothing_left() {
    wait_for 10 eval '[ -z "$(processes)" ]' || fail "processes are left: $(processes)"
    [ -z "$(ls -A "$RUN" 2>/dev/null)" ] || fail "left: $(ls -AR "$RUN")"
    [ -z "$(ls -A "$STORE" 2>/dev/null)" ] || fail "left: $(ls -AR "$STORE")"
}

# Its program has said `ready`, which it does once in each of its lives.
ready() { # NAME [LIVES]
    said_ready() { [ "$("$OPS" instance logs "$1" 2>/dev/null | grep -c '^ready')" = "${2:-1}" ]; }
    wait_for 30 said_ready "$@" || fail "$1 is not ready: $("$OPS" instance logs "$1" 2>&1 | tail -3)"
}

quiet() { # the last command said nothing and did well
    want_status 0
    want_no_err
    want_out "${1:-}"
}

test_detach_and_stop() {
    prepare
    ops instance list
    quiet
    ops run -d --name m ./app
    quiet m
    is_state m running || fail "$(state m)"
    ready m
    ops instance list
    want_status 0
    want_out_has $'^m\trunning\t20[0-9-]*T[0-9:.]*Z\tapp$'
    [ "$(stat -c %a "$STORE/m" "$RUN/m" | sort -u)" = 700 ] || fail "others may enter"
    [ "$(stat -c %a "$STORE/m/config.json")" = 600 ] || fail "others may read"
    pid=$(supervisor_of m)
    [ "$(ps -o tty= -p "$pid" | tr -d ' ')" = '?' ] || fail "it has a terminal"
    [ "$(ps -o sid= -p "$pid" | tr -d ' ')" != "$(ps -o sid= -p $$ | tr -d ' ')" ] || fail "our session"
    [ "$(readlink "/proc/$pid/cwd")" = / ] || fail "it stays in $(readlink "/proc/$pid/cwd")"
    ops run -d --name m ./app
    want_error 1 'there is an instance named m already' 'choose another name, `ops instance start m`'
    ops run --name m ./app
    want_error 1 'there is an instance named m already'
    ops instance start m
    want_error 1 'm is running' '`ops instance stop m` ends it'
    ops instance delete m
    want_error 1 'm is running'
    ops instance rename m n
    want_error 1 'm is running'
    ops instance stop m
    quiet
    is_state m exited || fail "$(state m)"
    ops instance wait m
    want_status 9
    want_out 9
    ops instance list
    want_out_has $'^m\texited \\(9\\)\t20[0-9-]*T[0-9:.]*Z\tapp$'
    ops instance stop m
    quiet
    ops instance logs m
    quiet $'ready\nbye'
    ops instance start m
    quiet
    ops instance restart m
    quiet
    is_state m running || fail "$(state m)"
    ops instance delete -f m
    quiet
    nothing_left
}

# A program that does not listen loses the power.
test_deaf_program() {
    prepare
    ops run -d --name m ./app deaf
    quiet m
    ready m
    ops instance stop --time 1 m
    quiet
    ops instance wait m
    want_status 143
    is_state m exited || fail "$(state m)"
    ops instance start m
    ops instance pause m
    ops instance stop -t 0 m
    quiet
    ops instance wait m
    want_status 143
    ops instance delete m
    nothing_left
}

test_pause_and_resume() {
    prepare
    ops run -d --name m ./app
    ready m
    ops instance pause m
    quiet
    is_state m paused || fail "$(state m)"
    ops instance list
    want_out_has $'^m\tpaused\t'
    ops instance pause m
    quiet
    ops instance resume m
    quiet
    is_state m running || fail "$(state m)"
    ops instance pause m
    ops instance stop m # wakes it, so that it can end by itself
    quiet
    ops instance wait m
    want_out 9
    for verb in pause resume stats; do
        ops instance $verb m
        want_error 1 'm is not running \(exited\)' '`ops instance start m` starts it'
    done
    ops instance delete m
    nothing_left
}

test_ends_and_their_states() {
    prepare
    ops run -d --name three ./app exit 3
    quiet three
    ops instance wait three
    want_status 3
    want_out 3
    is_state three exited || fail "$(state three)"
    ops run -d --name segv ./app segv
    quiet segv
    ops instance wait segv
    want_status 139
    is_state segv crashed || fail "$(state segv)"
    case $(member segv reason) in
    'the program was ended by SIGSEGV'*) ;;
    *) fail "$(member segv reason)" ;;
    esac
    ops instance logs segv
    want_out ready
    want_err '^ops: the program was ended by SIGSEGV'
    ops run -d --name late --timeout 1 ./app
    quiet late
    ops instance wait late
    want_status 124
    is_state late exited || fail "$(state late)"
    [ "$(member late reason)" = 'the program did not end within 1 s' ] || fail "$(member late reason)"
    ops instance delete three segv late
    quiet
    nothing_left
}

test_timeout_in_the_foreground() {
    prepare
    ops run --timeout 1 ./app
    want_error 124 'the program did not end within 1 s'
    ops run --timeout 1 ./app deaf
    want_error 124 'the program did not end within 1 s'
    ops run --timeout 60 ./app exit 5
    want_status 5
    for word in 0 x -1 1s ''; do
        ops run --timeout="$word" ./app
        want_error 2 '--timeout must be a number of seconds from 1 to 1000000000'
    done
}

test_names_are_made_up() {
    prepare
    ops run -d ./app
    want_status 0
    name=$(cat out)
    [[ $name =~ ^app-[0-9a-f]{4}$ ]] || fail "$name"
    ops instance delete -f "$name"
    quiet
    ops run -d --rm ./app exit 4
    want_status 0
    name=$(cat out)
    wait_for 20 eval "[ ! -e '$STORE/$name' ] && [ ! -e '$RUN/$name' ]" || fail "--rm keeps it"
    nothing_left
}

# What keeps it from starting is said as in the foreground, and nothing stays.
test_errors_of_the_start() {
    prepare
    ops run -d --name m ./missing
    want_error 1 'cannot open ./missing: no such file' 'spelling'
    ops run -d --name m --kernel /dev/null ./app
    want_error 125 'the machine ended without'
    OPS_QEMU=/none ops run -d --name m ./app
    want_error 1 'cannot find QEMU'
    ops run -d --name a/b ./app
    want_error 2 'cannot be the name of a machine'
    ops run -d --restart sometimes ./app
    want_error 2 '--restart must be no, on-failure or always, not sometimes'
    ops run -d --rm --restart always ./app
    want_error 2 '--rm and --restart always exclude each other'
    ops run --rm ./app
    want_error 2 '--rm is for machines that run detached' 'add -d'
    ops run --restart always ./app
    want_error 2 '--restart is for machines that run detached' 'add -d'
    ops run -d --debug ./app
    want_error 2 '--debug and --detach exclude each other'
    ops run -d --log-size 1K ./app
    want_error 2 '--log-size 1K is not a size for a log' '64K'
    nothing_left
}

test_create_start_rename() {
    prepare
    mkdir elsewhere
    GREETING=hello ops instance create --name m -e GREETING ./app exit 6
    quiet m
    ops instance list
    want_out_has $'^m\tcreated\t20[0-9-]*T[0-9:.]*Z\tapp$'
    ops instance wait m
    want_error 1 'm has never run'
    ops instance rename m other
    quiet
    ops instance create --name m ./app exit 1
    quiet m
    ops instance rename m other
    want_error 1 'there is an instance named other already'
    ops instance rename m a/b
    want_error 2 'cannot be the name of a machine'
    # It runs where and as it was made, not where it is started.
    (cd elsewhere && unset PATH && "$OPS" instance start other) || fail "no start"
    ops instance wait other
    want_out 6
    [ "$(member other directory)" = "$T" ] || fail "$(member other directory)"
    ops instance inspect other
    want_out_has '"GREETING=hello"'
    ops instance create ./missing
    want_error 1 'cannot open ./missing'
    ops instance create --dry-run ./app
    want_error 2 'an instance cannot have --dry-run'
    rm app
    ops instance start m
    want_error 1 'cannot open ./app: no such file'
    is_state m crashed || fail "$(state m)"
    ops instance delete m other
    quiet
    nothing_left
}

test_logs() {
    prepare
    ops run -d --name m ./app both
    ops instance wait m
    want_out 0
    ops instance logs m
    want_status 0
    [ "$(cat out)" = $'ready\nhalf and half\nno newline' ] || fail "stdout: $(cat out)"
    [ "$(tail -c 1 out)" = e ] || fail "a newline was added"
    want_err '^an error$'
    ops instance logs -t m
    [ "$(grep -cE '^20[0-9-]{8}T[0-9:]{8}\.[0-9]{6}Z (ready|half and half|no newline)$' out)" = 3 ] || fail "$(cat out)"
    ops instance logs -n 3 m
    want_out $'half and half\nno newline'
    ops instance logs -n 0 m
    want_out ''
    ops instance logs -n x m
    want_error 2 '-n must be a number from 0 to'
    ops run -d --name n ./app
    ready n
    ops instance logs -n 1 n
    want_out ready
    "$OPS" instance logs -f n >follow 2>follow-err &
    wait_for 20 grep -qs ready follow || fail "nothing follows"
    ops instance stop n
    wait $! || fail "logs -f: $(cat follow-err)"
    [ "$(cat follow)" = $'ready\nbye' ] || fail "$(cat follow)"
    ops instance logs -f n
    want_out $'ready\nbye'
    ops instance delete m n
    nothing_left
}

# The log has its size, and one older part; who follows it misses nothing.
test_log_rotation() {
    prepare
    ops run -d --name m --log-size 64K ./app lines 4000
    "$OPS" instance logs -f m >follow &
    last() { "$OPS" instance logs -n 1 m | grep -q '^line 3999 '; }
    wait_for 30 last || fail "$("$OPS" instance logs -n 1 m)"
    [ "$(stat -c %s "$STORE/m/log")" -le 65536 ] || fail "log is too large"
    [ "$(stat -c %s "$STORE/m/log.1")" -le 65536 ] || fail "log.1 is too large"
    ops instance logs m
    [ "$(wc -l <out)" -lt 4001 ] || fail "nothing was dropped"
    awk 'NR > 1 && $2 != before + 1 {exit 1} {before = $2}' out || fail "lines are missing"
    ops instance stop m
    wait $!
    tail -1 follow | grep -q bye || fail "$(tail -1 follow)"
    ops instance delete m
    nothing_left
}

test_restart_policies() {
    prepare
    ops run -d --name ok --restart on-failure ./app exit 0
    ops instance wait ok
    want_out 0
    [ "$(member ok restarts)" = None ] || fail "restarted: $(member ok restarts)"
    ops run -d --name bad --restart on-failure ./app exit 2
    twice() { [ "$(member bad restarts)" != None ] && [ "$(member bad restarts)" -ge 2 ]; }
    wait_for 30 twice || fail "restarts: $(member bad restarts)"
    ops instance stop bad
    quiet
    is_state bad exited || fail "$(state bad)"
    ops instance wait bad
    case $STATUS in 2 | 9 | 143) ;; *) fail "status $STATUS" ;; esac # it may have been booting
    ops run -d --name ever --restart always ./app
    for turn in 1 2; do
        ready ever $turn
        kill -9 "$(qemu_of ever)"
        again() { is_state ever running && [ "$(member ever restarts)" = $turn ]; }
        wait_for 30 again || fail "turn $turn: $(state ever) $(member ever restarts)"
    done
    ready ever 3
    ops instance stop ever
    quiet
    ops instance wait ever
    want_out 9
    ops instance delete ok bad ever
    quiet
    nothing_left
}

# A signal that comes while the machine boots waits for the program: at several moments of it.
test_end_before_the_program() {
    prepare
    local try
    for try in 1 2 3 4 5 6; do
        "$OPS" run --name early ./app >out 2>err </dev/null &
        machine=$!
        wait_for 20 test -s "$RUN/early/pid" || fail "no QEMU: $(cat err)"
        qemu=$(cat "$RUN/early/pid")
        # so far into the boot: ticks of QEMU's CPU time
        wait_for 20 eval '[ "$(awk "{print \$14 + \$15}" /proc/$qemu/stat 2>/dev/null || echo 99)" -ge $((try * 2)) ]'
        kill -TERM $machine
        wait_for 30 eval '! kill -0 $machine 2>/dev/null' || { kill -9 $machine; fail "try $try: it did not hear of it"; }
        wait $machine
        STATUS=$?
        case $STATUS in 9 | 143) ;; *) fail "status $STATUS: $(cat err)" ;; esac
    done
}

test_killed_parts() {
    prepare
    ops run -d --name m ./app
    kill -9 "$(qemu_of m)"
    ops instance wait m
    want_status 125
    is_state m crashed || fail "$(state m)"
    case $(member m reason) in
    'the machine ended without the program'?'s exit status (QEMU: signal 9)'*) ;;
    *) fail "$(member m reason)" ;;
    esac
    ops instance start m
    quiet
    pid=$(supervisor_of m) qemu=$(qemu_of m)
    kill -9 "$pid"
    wait_for 20 gone "$qemu" || fail "QEMU outlives its supervisor"
    is_state m crashed || fail "$(state m)"
    [ "$(member m reason)" = 'its supervisor was killed' ] || fail "$(member m reason)"
    ops instance wait m
    want_status 125
    ops instance stop m # nobody to signal, and no other process is
    quiet
    ops instance start m
    quiet
    pid=$(supervisor_of m)
    run=$(parent_of "$(qemu_of m)")
    kill -9 $run # the process between supervisor and QEMU
    ops instance wait m
    want_status 137
    [ "$(member m reason)" = "the machine's process was ended by SIGKILL" ] || fail "$(member m reason)"
    # A SIGTERM to the supervisor, as when the host shuts down, ends the program.
    lives=$("$OPS" instance logs m | grep -c ^ready)
    ops instance start m
    ready m $((lives + 1))
    kill "$(supervisor_of m)"
    ops instance wait m
    want_status 9
    # A stale pid file is nobody's pid.
    mkdir -p "$RUN/m" && echo $$ >"$RUN/m/pid"
    ops instance stop m
    quiet
    ops instance start m
    quiet
    ops instance delete -f m
    quiet
    nothing_left
}

# Of many that start, end or make the same one at once exactly one does.
test_at_the_same_time() {
    prepare
    ops instance create --name m ./app
    for n in 1 2 3 4 5 6; do
        "$OPS" instance start m 2>"err$n" && echo yes >"did$n" &
    done
    wait
    [ "$(cat did* | wc -l)" = 1 ] || fail "$(cat did* | wc -l) started it: $(cat err*)"
    [ "$(cat err? | grep -c '^ops: m is running$')" = 5 ] || fail "$(cat err?)"
    ready m
    for n in 1 2 3 4; do "$OPS" instance stop m 2>>stop-err & done
    "$OPS" instance wait m >waited
    wait
    [ ! -s stop-err ] || fail "$(cat stop-err)"
    [ "$(cat waited)" = 9 ] || fail "$(cat waited)"
    rm -f did* err?
    for n in 1 2 3 4; do "$OPS" instance create --name new ./app >"did$n" 2>"err$n" & done
    wait
    [ "$(cat did? | grep -c new)" = 1 ] || fail "$(cat did? err?)"
    for n in 1 2 3 4; do "$OPS" instance delete m 2>/dev/null && echo yes >"gone$n" & done
    wait
    [ "$(cat gone? | wc -l)" = 1 ] || fail "$(cat gone? | wc -l) deleted it"
    ops instance delete new
    nothing_left
}

# One image, ten machines, each with a root of its own.
test_ten_at_once() {
    prepare
    E2E_LIMIT=120
    for n in $(seq 10); do
        ops run -d -m 64M --name m$n ./app own "of $n"
        quiet m$n
    done
    ops instance list
    [ "$(grep -c $'\trunning\t' out)" = 10 ] || fail "$(cat out)"
    [ "$(ls "$XDG_CACHE_HOME"/ops/*.ext4 2>/dev/null | wc -l)" -le 1 ] || fail "an image each"
    for n in $(seq 10); do
        wait_for 60 eval '"$OPS" instance logs m'$n' | grep -q "^of '$n'$"' || fail "m$n: $("$OPS" instance logs m$n 2>&1)"
    done
    ops instance stop $(seq -f m%.0f 10)
    quiet
    ops instance delete $(seq -f m%.0f 10)
    quiet
    nothing_left
}

test_json() {
    prepare
    ops run -d --name m ./app
    ops instance create --name n ./app
    ops instance list --json
    python3 - out <<'P' || fail "$(cat out)"
import json, re, sys
m, n = json.load(open(sys.argv[1]))
time = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
assert set(m) == {"name", "state", "started", "created", "program", "directory"}, m
assert (m["name"], m["state"], m["program"]) == ("m", "running", "app")
assert time.fullmatch(m["started"]) and time.fullmatch(m["created"]) and m["created"] < m["started"]
assert set(n) == {"name", "state", "created", "program", "directory"} and n["state"] == "created", n
P
    ops instance inspect m
    python3 - out <<'P' || fail "$(cat out)"
import json, sys
m = json.load(open(sys.argv[1]))
assert m["words"] == ["-d", "--name", "m", "./app"], m
assert any(e.startswith("PATH=") for e in m["environment"])
P
    ops instance stats --json m
    python3 - out <<'P' || fail "$(cat out)"
import json, sys
m = json.load(open(sys.argv[1]))
assert m["name"] == "m" and m["guestMemoryBytes"] == 256 << 20, m
assert m["cpuSeconds"] > 0 and m["hostMemoryBytes"] > 1 << 20, m
assert m["diskReadBytes"] > 0 and m["diskWrittenBytes"] >= 0, m
assert 0 < m["guestUsedBytes"] < m["guestMemoryBytes"], m
assert m["networkReceivedBytes"] >= 0 and m["networkSentBytes"] >= 0, m
P
    ops instance stats m
    want_out_has '^m +[0-9.]+ s +[0-9.]+ MiB +256 MiB( +[0-9.]+ ([KM]iB|bytes)){5}$'
    "$OPS" instance stats -w --json m >watched &
    wait_for 20 eval '[ "$(wc -l <watched)" -ge 2 ]' || fail "it is not watched"
    ops instance stop m
    wait $! || fail "watching failed"
    ops instance delete m n
    nothing_left
}

# Counts of system calls: those of all CPUs, traced or not, and of numbers that nobody answers.
test_counts_of_calls() {
    prepare
    cc_program calls -pthread <<'END'
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
static void *work(void *arg)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(arg != NULL, &one);
    sched_setaffinity(0, sizeof one, &one);
    for (int i = 0; i < 5000; i++)
        syscall(SYS_getppid);
    return NULL;
}
int main(int n, char **v)
{
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, work, i ? v : NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 77; i++)
        syscall(SYS_getpgrp);
    for (int i = 0; i < 3; i++)
        syscall(500), syscall(511), syscall(512), syscall(70000);
    syscall(0x100000000L + SYS_getpgrp);
    puts("ready"), fflush(stdout);
    pause();
}
END
    for options in "--smp 2" "--smp 2 --trace=getpgrp"; do
        # shellcheck disable=SC2086
        ops run -d --name m $options ./calls
        wait_for 40 eval '"$OPS" instance logs m 2>&1 | grep -q ready' || fail "it does not run"
        wait_for 20 eval '"$OPS" instance stats --syscalls m | grep -q " 1 pause$"' || fail "$("$OPS" instance stats --syscalls m)"
        ops instance stats --syscalls m
        want_out_has '^m +[0-9.]+ s '
        for line in '10000 getppid' '78 getpgrp' '2 sched_setaffinity' '2 clone3?' '1 write'; do
            want_out_has "^ +$line\$"
        done
        want_out_lacks ' execve$'
        want_out_has '^ +3 500$'
        want_out_has '^ +3 511$'
        want_out_lacks ' (512|70000)$'
        [ "$(sed -n 2p out)" = "         10000 getppid" ] || fail "the most frequent is not first: $(cat out)"
        ops instance stats --json --syscalls m
        "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/instance-stats.json" <out || fail "not as the schema says"
        python3 -c 'import json, sys; c = json.load(sys.stdin)["syscalls"]; assert c["getppid"] == 10000 and c["getpgrp"] == 78, c' <out || fail "$(cat out)"
        ops instance stats --json m
        want_out_lacks syscalls
        ops instance pause m
        ops instance stats --syscalls m
        want_error 1 'm is paused' 'ops instance resume m'
        ops instance delete -f m
    done
    nothing_left
}

# What only the kernel in the machine knows.
test_facts_of_the_guest() {
    prepare
    cc_program busy -pthread <<'END'
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
static void *work(void *arg)
{
    prctl(PR_SET_NAME, "a\nworker");
    for (;;)
        usleep(20000), close(open("/not there", O_RDONLY));
    return arg;
}
int main(void)
{
    pthread_t t;
    for (int i = 0; i < 3; i++)
        pthread_create(&t, NULL, work, NULL);
    puts("ready"), fflush(stdout);
    pause();
}
END
    ops run -d --name m --smp 2 ./busy
    quiet m
    wait_for 20 eval '"$OPS" instance logs m | grep -q ready' || fail "it does not run"
    wait_for 20 eval '[ "$("$OPS" instance ps m | grep -c worker)" = 3 ]' || fail "$("$OPS" instance ps m)"
    ops instance ps m
    want_out_has '^ +[0-9]+ [RS] +[01] +[0-9.]+ s +[0-9]+ busy$'
    ops instance ps --json m
    python3 - out <<'P' || fail "$(cat out)"
import json, sys
threads = json.load(open(sys.argv[1]))
assert sorted(t["name"] for t in threads) == ["a?worker"] * 3 + ["busy"], threads
assert len({t["id"] for t in threads}) == 4, threads
assert all(t["state"] in ("running", "sleeping") and t["cpu"] in (0, 1) for t in threads), threads
assert all(t["switches"] > 0 and t["cpuSeconds"] >= 0 for t in threads), threads
P
    ops instance dmesg m
    want_out_has '^2 of 2 CPUs run$'
    ops instance trace -t 1 -e open,openat m
    want_status 0
    want_out_has '^[0-9]+ openat\(AT_FDCWD, "/not there", 0, 00\) = -1 ENOENT$'
    want_out_lacks nanosleep
    ops instance trace -t 1 -c m
    want_out_has '^ +([0-9]+) +\1 openat$'
    want_out_has '^ +[0-9]+ +0 clock_nanosleep$'
    ops instance trace -e nothing m
    want_error 1 'm refuses: no system call has such a name'
    "$OPS" instance trace m >calls 2>&1 &
    wait_for 20 grep -q openat calls || fail "nothing is traced"
    kill -INT $!
    wait $! || fail "$(cat calls)"
    # Who is killed while it is told of calls takes nothing with it.
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
        "$OPS" instance trace m >calls 2>&1 &
        wait_for 20 test -s calls || fail "nothing is traced"
        kill -9 $!
        wait $! 2>/dev/null
        : >calls
        ops instance ps m
        want_status 0
        [ "$(grep -c worker "$T/out")" = 3 ] || fail "$(cat "$T/out")"
    done
    "$OPS" instance top --json m >shares &
    wait_for 20 eval '[ "$(wc -l <shares)" -ge 2 ]' || fail "no second look"
    head -1 shares | python3 -c 'import json, sys; assert all(0 <= t["percent"] <= 101 for t in json.load(sys.stdin))' ||
        fail "$(head -1 shares)"
    ops instance pause m
    ops instance ps m
    want_error 1 'm is paused' '`ops instance resume m` lets it go on'
    ops instance resume m
    ops instance delete -f m
    wait
    ops instance trace m
    want_error 1 'there is no instance named m'
    ops run -d --name m --trace=openat ./busy
    ops instance trace m
    want_error 1 'm refuses: it was started with --trace'
    ops instance delete -f m
    nothing_left
}

test_table_on_a_terminal() {
    prepare
    ops instance create --name m ./app
    python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)' "$OPS" instance list >out </dev/null
    tr -d '\r' <out >table
    [ "$(head -1 table)" = 'NAME                     STATE              SINCE    PROGRAM' ] || fail "$(cat table)"
    grep -qE '^m                        created            [0-9]+ s      app$' table || fail "$(cat table)"
    ops instance delete m
    nothing_left
}

test_foreground_machines_are_listed() {
    prepare
    mkfifo go
    "$OPS" run --name f ./app >app-out 2>app-err <go &
    exec 8>go
    wait_for 20 grep -q ready app-out || fail "$(cat app-err)"
    ops instance list
    want_out $'f\trunning\t\t'
    ops run -d --name f ./app
    want_error 1 'a machine named f is running'
    ops instance pause f
    quiet
    ops instance list
    want_out $'f\tpaused\t\t'
    ops instance resume f
    quiet
    ops instance stop f
    want_error 1 'f runs in the foreground' 'Ctrl-C there ends it'
    ops instance stats --json f
    want_out_has '"cpuSeconds"'
    kill %1
    wait %1
    [ $? = 9 ] || fail "status $?"
    nothing_left
}

test_wrong_words() {
    prepare
    ops instance create --name server ./app
    for verb in start stop restart pause resume logs wait stats inspect delete; do
        ops instance $verb servr
        want_error 1 'there is no instance named servr' 'did you mean server\?'
        ops instance $verb
        want_error 2 "too few words for \`ops instance $verb\`"
        ops instance $verb ../x
        want_error 2 'cannot be the name of a machine'
    done
    ops instance rename servr x
    want_error 1 'there is no instance named servr'
    ops instance delete server
    quiet
    ops instance start server
    want_error 1 'there is no instance named server' '`ops run -d PROGRAM` starts one'
    ops instance lst
    want_error 2 'ops instance has no verb lst' 'did you mean `ops instance list`'
    ops instance stop --time x m
    want_error 2 '--time must be a number from 0 to 1000000, not x'
    ops instance
    want_status 2
    ops instance --help
    want_status 0
    want_out_has '^  stop \[-t SECONDS\] NAME\.\.\. +end them: SIGTERM, later the power$'
    ops help instance
    want_out_has '^usage: ops instance VERB'
    for verb in list create start stop restart pause resume logs wait stats inspect rename delete; do
        ops instance $verb --help
        want_status 0
        want_out_has "^usage: ops instance $verb"
    done
    nothing_left
}

# On a full disk lines are lost, and told; the state is not.
test_full_disk() {
    prepare
    mkdir state
    mount -t tmpfs -o size=256K none state 2>/dev/null || skip "no tmpfs can be mounted"
    trap 'umount -l "$T/state"; processes | while read -r dir; do kill -9 "${dir#/proc/}"; done' EXIT
    export XDG_STATE_HOME=$T/state
    STORE=$XDG_STATE_HOME/ops/instances
    mkdir shared
    ops instance create --name m --share ./shared:/shared ./app lines 30000 /shared/done
    quiet m
    head -c 1M /dev/zero >state/full 2>/dev/null
    truncate -s -8K state/full
    ops instance start m
    quiet
    # More than all buffers between program and log take: much of it found no room by then.
    wait_for 60 test -e shared/done || fail "the program did not end: $(ops instance logs -n 2 m)"
    rm state/full
    ops instance stop m
    quiet
    is_state m exited || fail "$(state m)"
    ops instance logs m
    want_out_has '^ready$'
    want_out_has '^bye$'
    want_err '^ops: [0-9]+ bytes found no room on the disk$'
    head -c 1M /dev/zero >state/full 2>/dev/null
    ops instance create --name n ./app
    want_error 1 'cannot make the instance n: no space left on device' 'free some space'
    [ "$(ls -A "$STORE")" = m ] || fail "left: $(ls -A "$STORE")"
    ops instance start m # its state has room
    quiet
    is_state m running || fail "$(state m)"
    ops instance stop m
    quiet
    is_state m exited || fail "$(state m)"
    ops instance delete m
    quiet
    nothing_left
}

test_damaged_files() {
    prepare
    ops instance create --name m ./app
    echo '{"state": ' >"$STORE/m/state.json"
    ops instance list
    want_out_has $'^m\tcrashed\t'
    [ "$(member m reason)" = 'its state is not readable' ] || fail "$(member m reason)"
    ops instance start m
    quiet
    ops instance stop m
    is_state m exited || fail "$(state m)"
    for text in '' '[]' '{"words": 1, "directory": "/"}' '{"words": [1], "directory": "/"}'; do
        echo "$text" >"$STORE/m/config.json"
        ops instance start m
        [ "$STATUS" = 1 ] || want_status 2
        want_err '^ops: (the configuration of m is not readable|config.json of the instance m:[12]:1:)'
        ops instance list
        want_out_has $'^m\t'
    done
    rm "$STORE/m/"*
    ops instance start m
    want_error 1 'cannot open .*config.json'
    ops instance delete m
    quiet
    mkdir -p "$STORE/.half" # of one that was killed while it made or deleted an instance
    echo x >"$STORE/.half/config.json"
    ops instance create --name m ./app
    [ "$(ls -A "$STORE")" = m ] || fail "left: $(ls -A "$STORE")"
    ops instance delete m
    nothing_left
}

# Where a free port was chosen, the log says which.
test_chosen_port() {
    prepare
    ops run -d --name m -p 0:8000 /usr/bin/python3 -m http.server 8000
    quiet m
    listening() { "$OPS" instance logs m >said 2>&1 && port_in said; }
    port=$(wait_for 30 listening) || fail "$(cat said)"
    grep -q "listening on http://127.0.0.1:$port\$" said || fail "$(cat said)"
    wait_for 30 curl -sfo page "http://127.0.0.1:$port/" || fail "nobody answers on $port"
    ops instance delete -f m
    quiet
    nothing_left
}

# What the README says of instances.
test_readme() {
    local background=() pid
    prepare
    grep -E '^ops (run|instance) .*\bweb\b' "$E2E_TREE/docs/guide.md" | sed 's/ *#.*//; s/-p 8080/-p 0:8080/' >commands
    [ "$(wc -l <commands)" = 5 ] || fail "$(cat commands)"
    while read -r command; do
        case $command in
        *' logs '* | *' top '*)
            $OPS ${command#ops } >"follow.${#background[@]}" 2>&1 &
            background+=($!)
            [[ $command != *' top '* ]] || wait_for 30 [ -s follow.1 ] || fail "top says nothing"
            ;;
        *) ops ${command#ops } ;;
        esac
    done <commands
    want_status 143
    want_out 143
    for pid in "${background[@]}"; do
        wait "$pid" || fail "logs -f, or top: $(cat follow.*)"
    done
    ops instance delete web
    nothing_left
}

e2e_main "$@"
