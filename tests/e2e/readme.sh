#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The README tells the truth: its transcript is run and compared, its commands exist.
. "$(dirname "$0")/lib.sh"

test_transcript() {
    PATH=$(dirname "$OPS"):$PATH
    sed -n '/^```console$/,/^```$/p' "$E2E_TREE/README.md" | sed '/^```/d' >transcript
    [ -s transcript ] || fail "no transcript in README.md"
    while IFS= read -r line; do
        case $line in
        '$ '*)
            printf '%s\n' "$line"
            timeout -k 5 $E2E_LIMIT bash -c "${line#\$ }" </dev/null 2>&1
            ;;
        esac
    done <transcript >got
    diff transcript got >why || fail "README's transcript differs: $(head -c 400 why)"
}

test_make_targets() {
    make -s -C "$E2E_TREE" help >targets
    for t in $(grep -ohE '\bmake [a-z-]+' "$E2E_TREE"/README.md | cut -d' ' -f2 | sort -u); do
        [ "$t" = needs ] || grep -qE "^ *make $t " targets || fail "README names 'make $t'; 'make help' does not"
    done
}

# The lines for CI make a disk of a C program that boots.
test_ci_recipe() {
    PATH=$(dirname "$OPS"):$PATH
    sed -n '/^## In CI/,/^## How/p' "$E2E_TREE/README.md" | sed -n '/^```sh$/,/^```$/p' | sed '1d;$d' >recipe
    [ "$(grep -c . recipe)" = 2 ] || fail "not two lines: $(cat recipe)"
    printf '#include <stdio.h>\nint main(void) { puts("built in CI"); return 3; }\n' >app.c
    bash -e recipe >log 2>&1 </dev/null || fail "$(cat log)"
    [ "$(ls artifacts | tr '\n' ' ')" = 'app.qcow2 app.spdx.json ' ] || fail "$(ls artifacts)"
    python3 -m json.tool artifacts/app.spdx.json >/dev/null || fail "the list is not JSON"
    timeout $E2E_LIMIT qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot \
        -serial stdio -device isa-debug-exit -drive file=artifacts/app.qcow2,if=virtio >serial 2>err </dev/null
    tr -d '\r' <serial | grep -qx 'built in CI' || fail "$(tail -c 300 serial)"
}

test_configuration_example() {
    sed -n '/^```json$/,/^```$/p' "$E2E_TREE/docs/guide.md" | sed '1d;$d' >ops.json
    mkdir input
    echo '{"a": [1, 2]}' >input/in.json
    ops run -c ops.json
    want_status 0
    want_out "$(python3 -m json.tool input/in.json)"
}

e2e_main "$@"
