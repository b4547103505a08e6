#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tool built with ASan, LeakSanitizer and UBSan goes through the tests of commands, settings,
# packages and errors: no access out of bounds, no leak, nothing undefined.
. "$(dirname "$0")/lib.sh"

sanitized() { # FILE of tests
    make --no-print-directory -s -C "$E2E_TREE" O="$O" "$O/asan/ops" >build.log 2>&1 || fail "$(tail -n 3 build.log)"
    O=$O/asan bash "$E2E_DIR/$1.sh" >log 2>&1
    [ "$(grep -c '^ok' log)" -gt 0 ] || fail "nothing ran: $(tail -n 3 log)"
    ! grep '^not ok' -A 4 log >why || fail "$(head -c 1500 why)"
}

for file in errors config pkg check verbs; do
    eval "test_$file() { sanitized $file; }"
done

e2e_main "$@"
