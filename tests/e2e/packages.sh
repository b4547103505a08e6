#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packages: each recipe is made of the distribution's packages, booted, and asked what its `smoke`
# says. What is fetched stays in $O/packages.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"

E2E_LIMIT=120

# Where packages are kept from one test to the next, and what was downloaded.
kept() {
    export XDG_DATA_HOME=$O/packages/data XDG_CACHE_HOME=$O/packages/cache
    mkdir -p "$XDG_DATA_HOME" "$XDG_CACHE_HOME"
}

serve_package() { # GUEST-PORT NAME WORD...
    local guest=$1
    shift
    serve_ops pkg load -v --no-config -p "0:$guest" "$@"
}

run_package() { # NAME WORD...
    ops pkg load --no-config "$@"
    want_status 0
}

talk() { # BYTES (as printf has them): sends them and prints what comes until the other side closes
    exec 3<>"/dev/tcp/127.0.0.1/$PORT"
    printf "$1" >&3
    timeout 20 cat <&3
    exec 3>&-
}

# Another user, place, time zone and mask make the same bytes, without root.
test_reproducible() {
    kept
    run_package lua -- -e 'print(1)'
    first=$XDG_DATA_HOME/ops/packages/$(ls "$XDG_DATA_HOME/ops/packages" | grep '^lua_')
    mkdir -p other/data other/cache/ops
    cp -r "$XDG_CACHE_HOME/ops/apt" other/cache/ops/
    as=
    chmod 755 . ..
    [ "$(id -u)" != 0 ] || { chown -R 65534:65534 other && as='setpriv --reuid=65534 --regid=65534 --clear-groups'; }
    $as env HOME="$PWD/other" XDG_DATA_HOME="$PWD/other/data" XDG_CACHE_HOME="$PWD/other/cache" TZ=Asia/Tokyo LC_ALL=C \
        sh -c 'umask 077; "$1" pkg get lua' sh "$OPS" >got 2>&1 || fail "$(cat got)"
    diff -r "$first" other/data/ops/packages/lua_* >why || fail "they differ: $(head -n 3 why)"
    [ -z "$(find other/data -newermt '1971-01-01' -name '.new-*')" ] || fail "a draft is left"
}

test_outdated() {
    kept
    export XDG_DATA_HOME=$PWD/data # the others take their time, each
    ops pkg get busybox
    ops pkg outdated
    want_status 0
    origin=$(ls "$XDG_DATA_HOME"/ops/packages/busybox_*/package.origin)
    cp "$origin" saved
    sed -i 's/"Version":\t"[^"]*"/"Version":\t"0"/' "$origin"
    ops pkg outdated
    cp saved "$origin"
    want_status 1
    want_out_has '^busybox	'
}

# What was fetched once is enough to make a package again, and one that is there needs nothing.
test_offline() {
    [ "$(id -u)" = 0 ] || skip "needs root to take the network away"
    kept
    export XDG_DATA_HOME=$PWD/data
    ops pkg get busybox
    want_status 0
    ops pkg delete busybox
    unshare -n "$OPS" pkg get busybox >got 2>&1 || fail "not made without a network: $(cat got)"
    grep -q '^busybox_.*made' got || fail "$(cat got)"
    unshare -n "$OPS" pkg load busybox true >got 2>&1 </dev/null || fail "does not run without a network: $(cat got)"
    touch -d '3 days ago' "$XDG_CACHE_HOME/ops/apt/fetched"
    ops pkg delete busybox
    unshare -n "$OPS" pkg get busybox >got 2>&1 || fail "not made of an older index: $(cat got)"
    grep -q 'going on with the index of 3 days ago' got || fail "nothing is said: $(cat got)"
}

test_other_version() {
    kept
    ops pkg get nginx:0.1
    want_error 1 "this distribution's nginx is [0-9.]+, not 0.1" 'write nginx, or nginx:'
}

for smoke in "$E2E_TREE"/pkg/*/smoke; do
    name=$(basename "$(dirname "$smoke")")
    eval "test_smoke_${name//-/_}() { kept; . '$smoke'; }"
done

e2e_main "$@"
