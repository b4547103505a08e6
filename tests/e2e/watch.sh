#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ops run --watch`: a machine starts again when a file of it changes.
. "$(dirname "$0")/lib.sh"

# program WORD [STATUS]: ./app prints it and the file's text; ends with the status, or waits.
program() {
    cc_program app.new -static <<C
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static void terminated(int n) { (void)n; puts("bye"), fflush(stdout), _exit(3); }
int main(void)
{
    char text[100] = "";
    FILE *f = fopen("/data/text", "r");
    signal(SIGTERM, terminated);
    signal(SIGINT, terminated);
    if (f) fgets(text, sizeof text, f);
    printf("$1 %s\n", text), fflush(stdout);
    if (${2:--1} >= 0) return ${2:--1};
    for (;;) pause();
}
C
    mv app.new app
}

test_changes() {
    local own
    mkdir data
    echo -n first >data/text
    printf '{"MapDirs": {"%s/data/*": "/data"}}' "$T" >map.json
    program one
    "$OPS" run --watch -c map.json ./app >seen 2>said </dev/null &
    own=$!
    wait_for 30 grep -q '^one first$' seen || fail "no start: $(cat said)"
    program two
    wait_for 30 grep -q '^two first$' seen || fail "the program: $(cat seen said)"
    echo -n second >data/text
    wait_for 30 grep -q '^two second$' seen || fail "a file: $(cat seen said)"
    # Half a program is nobody's: the whole one that follows is.
    head -c 100 app >half
    cp half app
    wait_for 30 grep -q 'app' said || fail "nothing is said: $(cat said)"
    program three 5
    wait_for 30 grep -q '^three second$' seen || fail "after half a program: $(cat seen said)"
    wait_for 30 grep -q 'it has ended (5), and starts again when a file changes' said || fail "$(cat said)"
    : >data/more
    wait_for 30 eval '[ "$(grep -c "^three second$" seen)" = 2 ]' || fail "a new file: $(cat seen said)"
    program four
    wait_for 30 grep -q '^four second$' seen || fail "the last one: $(cat seen said)"
    kill $own
    wait $own
    STATUS=$?
    want_status 3
    [ "$(grep -c '^bye$' seen)" = 4 ] || fail "not every program was told: $(cat seen)"
    grep -q 'data/text has changed$' said || fail "$(cat said)"
}

test_errors() {
    ops run --watch --dry-run /bin/true
    want_error 2 '--watch is for machines in the foreground'
    ops run --watch -d /bin/true
    want_error 2 '--watch is for machines in the foreground'
    ops run --watch ./none
    want_error 1 'cannot open ./none: no such file'
}

e2e_main "$@"
