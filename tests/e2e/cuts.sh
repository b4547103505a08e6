#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 to ops at random moments of each command that writes (cuts.py): nothing half is ever used,
# nothing is lost, the next command cleans up and works. CUTS moments a command (25
# in `make check-long`); SEED chooses them.
. "$(dirname "$0")/lib.sh"

CUTS=${CUTS:-6}
SEED=${SEED:-$RANDOM}
export PATH=$PATH:/usr/sbin:/sbin
apart= # networks are made where they are in nobody's way
unshare -n true 2>/dev/null && apart="unshare -n"

cut_case() { # CASE
    export XDG_RUNTIME_DIR=$T/run PYTHONDONTWRITEBYTECODE=1
    mkdir -m 700 run
    cc_program app -static <<'C'
#include <string.h>
#include <unistd.h>
int main(int n, char **v)
{
    write(1, "here\n", 5);
    while (n > 1 && !strcmp(v[1], "stay"))
        pause();
    return 7;
}
C
    trap '"$OPS" instance list | cut -f 1 | xargs -r "$OPS" instance delete -f >/dev/null 2>&1' EXIT
    $apart python3 "$E2E_DIR/cuts.py" "$OPS" "$T/app" "$CUTS" "$SEED" "$1" 2>err || fail "$(cat err)"
}

for case in run build image-create image-delete image-sync image-resize image-env volume-create volume-delete \
    volume-resize volume-import instance-create instance-rename instance-delete detach deploy compose-up \
    compose-down config-convert pkg-from-run pkg-again pkg-add pkg-delete pkg-publish pkg-republish repo-add; do
    eval "test_${case//-/_}() { cut_case $case; }"
done

test_container() {
    command -v umoci >/dev/null || skip "no umoci"
    cut_case container
}

test_network_create() {
    [ -n "$apart" ] || skip "no network namespace: needs root"
    cut_case network-create
}

test_network_delete() {
    [ -n "$apart" ] || skip "no network namespace: needs root"
    cut_case network-delete
}

e2e_main "$@"
