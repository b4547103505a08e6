#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packages: each recipe is made of the distribution's packages, booted, and asked what its `smoke`
# says. What is fetched stays in $O/packages.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=120

# Where packages are kept from one test to the next, and what was downloaded.
kept() {
    export XDG_DATA_HOME=$O/packages/data XDG_CACHE_HOME=$O/packages/cache
    mkdir -p "$XDG_DATA_HOME" "$XDG_CACHE_HOME"
}

# serve_package GUEST-PORT NAME WORD...: starts it; PORT is the host's.
serve_package() {
    local guest=$1
    shift
    : >server-err
    timeout --foreground -k 5 $E2E_LIMIT "$OPS" pkg load -v --no-config -p "0:$guest" "$@" \
        >server-out 2>server-err </dev/null &
    SERVER=$!
    wait_for 90 grep -q '^ops: listening on ' server-err || fail "no server: $(tail -n 5 server-err) $(tail -n 3 server-out)"
    PORT=$(sed -n 's/^ops: listening on .*:\([0-9]*\)$/\1/p' server-err | head -n 1)
}

stop() { # STATUS...
    kill -TERM "$SERVER"
    wait "$SERVER"
    local status=$?
    [[ " $* " == *" $status "* ]] || fail "the server ended with $status: $(tail -n 5 server-err)"
}

run_package() { # NAME WORD...
    ops pkg load --no-config "$@"
    want_status 0
}

get() { # PATH [CURL OPTION...]
    local path=$1
    shift
    curl -sS --max-time 60 "$@" "http://127.0.0.1:$PORT$path" || fail "curl $path: $? $(tail -n 3 server-err)"
}

talk() { # BYTES (as printf has them): sends them and prints what comes until the other side closes
    exec 3<>"/dev/tcp/127.0.0.1/$PORT"
    printf "$1" >&3
    timeout 20 cat <&3
    exec 3>&-
}

for smoke in "$E2E_TREE"/pkg/*/smoke; do
    name=$(basename "$(dirname "$smoke")")
    eval "test_smoke_${name//-/_}() { kept; . '$smoke'; }"
done

e2e_main "$@"
