#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Machines with a name, and volumes that come and go while their program runs.
. "$(dirname "$0")/lib.sh"

STORE() { echo "$XDG_DATA_HOME/ops/volumes"; }

# The program does what the letters on its standard input say, and tells when it has.
make_app() {
    cc_program app -static <<'C'
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>
static int mounted(const char *path)
{
    char line[512], at[256];
    int found = 0;
    FILE *f = fopen("/proc/mounts", "r");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%*s %255s", at) == 1)
            found |= !strcmp(at, path);
    fclose(f);
    return found;
}
static void wait_mounted(int wanted)
{
    while (mounted("/data") != wanted)
        poll(NULL, 0, 10);
}
int main(void)
{
    int c, fd = -1, in = inotify_init();
    char text[200];
    void *map = NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    while ((c = getchar()) != EOF && c != 'q') {
        switch (c) {
        case 'm': /* wait until it is mounted */
            wait_mounted(1);
            break;
        case 'u':
            wait_mounted(0);
            break;
        case 'r':
            fd = open("/data/hello", O_RDONLY);
            int n = read(fd, text, sizeof text);
            close(fd);
            printf("read %.*s", n < 0 ? 0 : n, text);
            break;
        case 'w':
            fd = open("/data/written", O_WRONLY | O_CREAT | O_APPEND, 0644);
            printf("write %s\n", fd >= 0 && write(fd, "line\n", 5) == 5 ? "ok" : strerror(errno));
            break;
        case 'c':
            close(fd);
            break;
        case 'd':
            chdir("/data");
            break;
        case 'D':
            chdir("/");
            break;
        case 'p': /* a mapping alone keeps it in use */
            fd = open("/data/hello", O_RDONLY);
            map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
            close(fd);
            break;
        case 'P':
            munmap(map, 4096);
            break;
        case 'i':
            inotify_add_watch(in, "/data/hello", IN_ALL_EVENTS);
            break;
        case 'I':
            for (unsigned mask = 0; !(mask & IN_UNMOUNT);) {
                struct inotify_event e;
                if (read(in, &e, sizeof e) != sizeof e)
                    return 1;
                mask |= e.mask;
            }
            break;
        case 'a':
            printf("hello is %s\n", access("/data/hello", 0) ? "away" : "there");
            break;
        default:
            continue;
        }
        printf("done %c\n", c);
    }
    return 0;
}
C
}

# machine_start [OPTION...]: ./app in a machine named m; `say LETTER` tells it what to do.
machine_start() {
    rm -f go app-out app-err
    mkfifo go
    exec 8<>go
    timeout -k 5 $E2E_LIMIT "$OPS" run --name m "$@" ./app >app-out 2>app-err <go &
    MACHINE=$!
    SAID=0
    wait_for 30 grep -qs '^ready' app-out || fail "no start: $(cat app-err)"
}

say() { # LETTER...
    for letter in "$@"; do
        echo "$letter" >&8
        SAID=$((SAID + 1))
        wait_for 30 eval "[ \$(grep -c ^done app-out) = $SAID ]" ||
            fail "the program does not finish $letter: $(tail -3 app-out) $(head -c 600 app-err)"
    done
}

machine_end() {
    echo q >&8
    wait $MACHINE || fail "the machine failed: $(cat app-err)"
    exec 8>&-
    [ -z "$(ls -A "$RUN")" ] || fail "left: $(ls -A "$RUN")"
}

prepare() {
    export XDG_RUNTIME_DIR=$T/run
    RUN=$T/run/ops
    mkdir -p run d
    echo hello >d/hello
    make_app
    ops volume create data -d d
    want_status 0
}

sound() {
    ops volume check data
    want_status 0
    want_out 'data: the filesystem is sound'
}

test_attach_and_detach() {
    prepare
    for options in '--smp 1' '--smp 2' '--machine q35 --smp 2' '--net none -m 16M'; do
        machine_start $options
        [ "$(stat -c %a "$RUN" "$RUN/m" | sort -u)" = 700 ] || fail "others may enter"
        kill -0 "$(cat "$RUN/m/pid")" || fail "the pid is wrong"
        for turn in 1 2 3; do
            ops volume attach data m:/data
            want_status 0 && want_no_err && want_out ''
            say m r w c a
            ops volume detach data m
            want_status 0 && want_no_err && want_out ''
            say u a
            sound
        done
        [ "$(tail -2 app-out)" = $'hello is away\ndone a' ] || fail "$(tail -3 app-out)"
        [ "$(grep -c '^read hello' app-out)" = 3 ] || fail "$(cat app-out)"
        machine_end
        [ ! -s app-err ] || fail "stderr: $(cat app-err)"
    done
    ops volume cat data:/written
    [ "$(grep -c line out)" = 12 ] || fail "$(wc -l <out) lines were kept"
}

test_busy_volumes_stay() {
    prepare
    machine_start
    ops volume attach data m:/data
    say m
    for letters in 'w c' 'd D' 'p P'; do
        say ${letters% *}
        ops volume detach data m
        want_error 1 'data cannot be taken from m: files of it are in use' 'close'
        say a ${letters#* }
    done
    ops volume detach data m
    want_status 0
    say u
    [ "$(grep -c '^hello is there' app-out)" = 3 ] || fail "$(cat app-out)"
    machine_end
    sound
}

test_inotify_hears_of_it() {
    prepare
    machine_start
    ops volume attach data m:/data
    say m i
    ops volume detach data m
    want_status 0
    say I
    machine_end
}

test_read_only() {
    prepare
    machine_start
    sum=$(sha256sum <"$(STORE)/data.ext4")
    ops volume attach data m:/data:ro
    say m r w
    grep -q 'write Read-only file system' app-out || fail "$(cat app-out)"
    ops volume detach data m
    want_status 0
    machine_end
    [ "$sum" = "$(sha256sum <"$(STORE)/data.ext4")" ] || fail "the volume was changed"
}

# What is attached is in use until the machine ends, however it ends.
test_one_user_at_a_time() {
    prepare
    machine_start
    ops volume attach data m:/data
    want_status 0
    for words in 'volume attach data m:/other' 'volume delete data' 'volume resize data 1G' \
        'run --mounts data:/x ./app'; do
        ops $words
        want_error 1 'is in use'
    done
    say m w
    machine_end
    sound
    ops volume cat data:/written
    want_out line
    machine_start
    ops volume attach data m:/data
    say m w
    kill -9 "$(cat "$RUN/m/pid")"
    wait $MACHINE
    ops volume check --repair data
    want_status 0
    sound
}

test_wrong_words() {
    prepare
    ops volume attach data m
    want_error 1 'no machine named m is running' 'run --name'
    ops volume detach data m
    want_error 1 'no machine named m is running'
    ops volume attach data /x
    want_error 2 'cannot be the name of a machine'
    ops run --name a/b ./app
    want_error 2 'cannot be the name of a machine'
    ops run --name "$(printf 'x%.0s' $(seq 33))" ./app
    want_error 2 'cannot be the name of a machine'
    machine_start
    ops run --name m ./app
    want_error 1 'a machine named m is running'
    ops volume attach other m
    want_error 1 'no volume other'
    ops volume attach data m:/
    want_error 2 'root cannot be replaced'
    ops volume attach data m:data
    want_error 2 'must be an absolute path'
    ops volume attach "$(STORE)/data.ext4" m
    want_error 2 'say where'
    ops volume attach data m:/none/of/these
    want_error 1 'm cannot mount data on /none/of/these: the directory of its mount point is not there'
    ops volume detach data m
    want_error 1 'data was not attached to m'
    sound # it is free again
    ops volume attach data m:/proc/x
    want_error 2 'the kernel mounts its own'
    ops volume attach data m
    want_status 0
    say m
    ops volume create more
    ops volume attach more m:/data
    want_error 1 'something is mounted there already'
    ops volume attach "$(STORE)/more.ext4" m:/more
    want_status 0
    ops volume detach more m
    want_status 0
    machine_end
}

test_what_a_killed_machine_leaves() {
    prepare
    machine_start
    qemu=$(cat "$RUN/m/pid")
    kill -9 "$(ps -o ppid= -p "$qemu")"
    wait $MACHINE 2>/dev/null
    exec 8>&-
    wait_for 20 eval "! kill -0 $qemu 2>/dev/null"
    want_file "$RUN/m/qmp.sock"
    ops volume attach data m
    want_error 1 'no machine named m is running'
    mkdir -p "$RUN/m" && : >"$RUN/m/qmp.sock"
    machine_start
    machine_end
    chmod 755 "$RUN"
    ops run --name m ./app
    want_error 1 'not a directory that only you may enter'
}

test_without_runtime_directory() {
    prepare
    unset XDG_RUNTIME_DIR
    ops run --name "e2e-$$" --dry-run ./app
    want_status 0
    want_out_has "path=/tmp/ops-$(id -u)/e2e-$$/qmp.sock"
    want_no_file "/tmp/ops-$(id -u)/e2e-$$"
}

# Several at the same time, which go in another order than they came.
test_many() {
    prepare
    machine_start
    for n in 1 2 3 4 5; do
        ops volume create v$n -s 16M
        ops volume attach v$n m
        want_status 0
    done
    for n in 3 1 5 2 4; do
        ops volume detach v$n m
        want_status 0
    done
    ops volume attach data m:/data
    say m r
    ops volume detach data m
    want_status 0
    machine_end
}

# The disk of an attached volume grows, and the root's: the kernel is told.
test_disks_grow() {
    prepare
    machine_start -v
    ops volume attach data m:/data
    want_status 0
    python3 - "$RUN/m/qmp.sock" <<'END' || fail "QMP failed"
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile("rw")
def run(command, **arguments):
    f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    f.flush()
    while True:
        answer = json.loads(f.readline())
        if "return" in answer:
            return answer["return"]
        if "error" in answer:
            sys.exit(str(answer))
f.readline()
run("qmp_capabilities")
node = [n["node-name"] for n in run("query-named-block-nodes") if n["node-name"].startswith("v")][0]
run("block_resize", **{"node-name": node, "size": 100 << 20})
run("block_resize", device="root", size=1 << 30)
END
    wait_for 20 grep -q 'kernel: sda: 204800 sectors now, 131072 before' app-err || fail "$(grep kernel app-err)"
    wait_for 20 grep -q 'kernel: vda: 2097152 sectors now' app-err || fail "$(grep kernel app-err)"
    say m r w c
    ops volume detach data m
    want_status 0
    machine_end
    sound
}

e2e_main "$@"
