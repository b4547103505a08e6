#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Configurations in OPS' manner, run as they stand (tests/e2e/configs).
. "$(dirname "$0")/lib.sh"

# run_config NAME PROGRAM...: from an empty directory, so paths are the file's own.
run_config() {
    local name=$1
    shift
    ops config check "$E2E_DIR/configs/$name.json"
    want_status 0
    want_out_has 'no errors$'
    ops run -c "$E2E_DIR/configs/$name.json" "$@"
}

test_args() {
    run_config args /usr/bin/printf
    want_out one # printf's format, whose two words are not asked for
    cc_program show <<<'#include <stdio.h>
int main(int n, char **v) { for (int i = 1; i < n; i++) printf("[%s]", v[i]); return n; }'
    run_config args ./show
    want_status 4
    want_out '[one][two words][]'
}

test_env() {
    run_config env /usr/bin/env
    want_out_has '^MODE=production$'
    want_out_has '^DATABASE_URL=postgres://db:5432/app\?x=1$'
}

test_files() {
    run_config files /usr/bin/lua5.4
    want_status 0
    want_out "$(printf 'lua\ta\tb')"
}

test_dirs() {
    run_config dirs /usr/bin/python3
    want_status 0
    want_out '{"args": ["x"], "mode": "test"}'
}

test_mapdirs() {
    run_config mapdirs /bin/ls
    want_out "$(printf 'index.html\nmain.css')"
}

test_volume_size() {
    run_config volume-size /bin/cat
    want_out_has '^nameserver 1.1.1.1$'
    want_out_has '^nameserver 8.8.8.8$'
    ops run -c "$E2E_DIR/configs/volume-size.json" /bin/df -m --output=size /
    want_status 0
    size=$(tail -n 1 "$T/out")
    [ "$size" -gt 40 ] && [ "$size" -le 64 ] || fail "the root has $size MiB"
}

test_run_config() {
    run_config run-config /usr/bin/nproc
    want_status 0
    want_out 2
}

test_cloud() {
    run_config cloud /bin/echo
    want_status 0
    want_out cloud
    ops config check "$E2E_DIR/configs/cloud.json"
    want_out_has 'cloud.json:2: CloudConfig has no effect: only a cloud'
}

test_passthrough() {
    run_config passthrough /usr/bin/lua5.4
    want_status 0
    want_out_has '/made: Read-only file system'
}

test_server() {
    "$OPS" run -d --name s -c "$E2E_DIR/configs/server.json" >name 2>err || fail "not started: $(cat err)"
    find_port() { port=$("$OPS" instance logs s 2>&1 | sed -n 's|.*http://127.0.0.1:\([0-9]*\).*|\1|p' | head -n 1) && [ -n "$port" ]; }
    wait_for 60 find_port || fail "no port: $("$OPS" instance logs s)"
    wait_for 30 curl -sf -o page "http://127.0.0.1:$port/index.html" || fail "no answer"
    "$OPS" instance delete -f s
    [ "$(cat page)" = '<h1>hello</h1>' ] || fail "page: $(cat page)"
}

e2e_main "$@"
