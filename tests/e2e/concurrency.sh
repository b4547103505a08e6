#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fifty `ops run` and `ops build` at the same time, of the same and of different programs: each gets
# its own image, output and status, and the cache and the store are sound afterwards.
# Alone: fifty machines.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=120 # all of them share this host's CPUs

programs() { # COUNT
    local n
    for n in $(seq "$1"); do
        cc_program app$n -static -nostdlib -ffreestanding -DNUMBER=$n <<'C'
static long call(long n, long a, long b, long c)
{
    __asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return n;
}
void _start(void)
{
    char text[] = "program 00\n";
    text[8] += NUMBER / 10;
    text[9] += NUMBER % 10;
    call(1, 1, (long)text, sizeof text - 1);
    call(231, NUMBER, 0, 0);
}
C
    done
}

run_one() { # PROGRAM TAG
    timeout -k 5 $E2E_LIMIT "$OPS" run --no-system-files -m 16M ./app$1 >out.$2 2>err.$2 </dev/null
    echo $? >status.$2
}

build_one() { # PROGRAM TAG FILE
    timeout -k 5 $E2E_LIMIT "$OPS" build --no-system-files -o "$3" ./app$1 >out.$2 2>err.$2 </dev/null
    echo $? >status.$2
}

test_fifty() {
    local n tag pids=()
    programs 10
    for tag in $(seq 30); do # each program three times
        run_one $(((tag - 1) % 10 + 1)) $tag &
        pids+=($!)
    done
    for tag in $(seq 31 40); do # disks of their own
        build_one $((tag - 30)) $tag disk.$tag &
        pids+=($!)
    done
    for tag in $(seq 41 50); do # all of one name
        build_one $((tag - 40)) $tag shared &
        pids+=($!)
    done
    wait "${pids[@]}"
    for tag in $(seq 30); do
        n=$(((tag - 1) % 10 + 1))
        [ "$(cat status.$tag)" = $n ] || fail "run $tag: status $(cat status.$tag), not $n: $(cat err.$tag)"
        [ "$(cat out.$tag)" = "$(printf 'program %02d' $n)" ] || fail "run $tag says $(cat out.$tag)"
    done
    for tag in $(seq 31 40); do
        [ "$(cat status.$tag)" = 0 ] || fail "build $tag: $(cat err.$tag)"
        ops image info disk.$tag
        want_out_has "^program +$PWD/app$((tag - 30))\$"
        ops image check disk.$tag
        want_status 0
    done
    # One was first; those that met it say so, and the file is one of them, whole.
    grep -qx 0 status.4[1-9] status.50 || fail "nobody built the shared disk"
    for tag in $(seq 41 50); do
        [ "$(cat status.$tag)" = 0 ] || grep -q 'another ops is writing shared' err.$tag || fail "build $tag: $(cat err.$tag)"
    done
    ops image check shared
    want_status 0
    ops image info shared
    want_out_has "^program +$PWD/app[0-9]+\$"
    want_no_file .shared.ops-unfinished
    [ "$(find "$XDG_CACHE_HOME/ops" -name '*.ext4' | wc -l)" = 10 ] || fail "images: $(ls "$XDG_CACHE_HOME/ops")"
    ! ls "$XDG_CACHE_HOME/ops" | grep -q '^tmp-' || fail "left: $(ls "$XDG_CACHE_HOME/ops")"
    for n in "$XDG_CACHE_HOME"/ops/*.ext4; do
        PATH=$PATH:/sbin e2fsck -fn "$n" >fsck 2>&1 || fail "$n: $(cat fsck)"
    done
}

# The stores: names are given once, and every entry is whole.
test_stores() {
    local tag pids=()
    programs 1
    for tag in $(seq 10); do
        "$OPS" volume create same -s 8M >out.v$tag 2>err.v$tag &
        pids+=($!)
        "$OPS" volume create own$tag -s 8M >out.o$tag 2>err.o$tag &
        pids+=($!)
        "$OPS" image create --no-system-files --name same ./app1 >out.i$tag 2>err.i$tag &
        pids+=($!)
        "$OPS" instance create --no-system-files --name same ./app1 >out.n$tag 2>err.n$tag &
        pids+=($!)
        "$OPS" instance create --no-system-files ./app1 >out.m$tag 2>err.m$tag &
        pids+=($!)
    done
    wait "${pids[@]}"
    [ "$(cat err.v* | grep -c 'there is a volume same already')" = 9 ] || fail "volumes: $(cat err.v*)"
    [ "$(cat err.n* | grep -c '^ops: ')" = 9 ] || fail "instances: $(cat err.n*)"
    cat err.o* err.m* >errors
    [ ! -s errors ] || fail "$(cat errors)"
    ops volume list
    [ "$(wc -l <out)" = 12 ] || fail "volumes: $(cat out)"
    for tag in same $(seq -f 'own%g' 10); do
        ops volume check "$tag"
        want_status 0
    done
    [ "$(cat out.m* | sort -u | wc -l)" = 10 ] || fail "names: $(cat out.m*)"
    ops instance list
    [ "$(wc -l <out)" = 11 ] || fail "instances: $(cat out)"
    ops image check same
    want_status 0
    [ "$(ls -A "$XDG_DATA_HOME/ops/images")" = same.img ] || fail "images: $(ls -A "$XDG_DATA_HOME/ops/images")"
}

e2e_main "$@"
