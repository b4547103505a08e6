# SPDX-License-Identifier: Apache-2.0
# The one assertion library of the end-to-end tests. A test file sources it,
# defines functions called test_NAME and ends with `e2e_main "$@"`. Each test runs
# in a subshell with an empty directory ($T, also the current one) and an image
# cache of its own, prints `ok NAME` or `not ok NAME: why` with the command that
# repeats it, and leaves nothing behind.
# O is the build directory; words after the file's name select tests.
set -u

E2E_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
E2E_TREE=$(cd "$E2E_DIR/../.." && pwd)
O=${O:-$E2E_TREE/build}
case $O in /*) ;; *) O=$E2E_TREE/$O ;; esac
OPS=$O/ops

fail() { # MESSAGE...
    printf '%s\n' "$*" >"$E2E_WHY"
    exit 1
}

skip() { # REASON...
    printf '%s\n' "$*" >"$E2E_WHY"
    exit 77
}

E2E_LIMIT=60 # seconds a run may take

# ops ARGUMENT...: runs the tool; STATUS, and its output in files out and err.
ops() { ops_input /dev/null "$@"; }

# ops_input FILE ARGUMENT...: the same with standard input.
ops_input() {
    local input=$1 begin=$SECONDS
    shift
    timeout -k 5 $E2E_LIMIT "$OPS" "$@" >"$T/out" 2>"$T/err" <"$input"
    STATUS=$?
    # 124 is also what `ops run --timeout` ends with.
    [ $STATUS != 124 ] || [ $((SECONDS - begin)) -lt $E2E_LIMIT ] || fail "no end after $E2E_LIMIT s: ops $*; stderr: $(said)"
}

said() { head -c 600 "$T/err" | tr '\n' '|'; }

want_status() { # NUMBER
    [ "$STATUS" = "$1" ] || fail "status $STATUS, not $1; stdout ends: $(tail -c 300 "$T/out"); stderr: $(said)"
}

want_out() { # TEXT: all of stdout, but for newlines at the end
    [ "$(cat "$T/out")" = "$1" ] || fail "stdout is '$(head -c 300 "$T/out")', not '$1'; stderr: $(said)"
}

want_out_has() { # PATTERN (grep -E)
    grep -qE -- "$1" "$T/out" || fail "stdout lacks '$1': $(head -c 600 "$T/out")"
}

want_out_lacks() { # PATTERN
    ! grep -qE -- "$1" "$T/out" || fail "stdout has '$1': $(grep -E -- "$1" "$T/out" | head -3)"
}

want_err() { # PATTERN
    grep -qE -- "$1" "$T/err" || fail "stderr lacks '$1': $(said)"
}

want_no_err() {
    [ ! -s "$T/err" ] || fail "stderr: $(said)"
}

# One sentence with its hint: `ops: ...` and `hint: ...`, and the right status.
want_error() { # STATUS PATTERN [HINT PATTERN]
    want_status "$1"
    want_err "^ops: .*$2"
    [ $# -lt 3 ] || want_err "^hint: .*$3"
}

want_file() { [ -e "$1" ] || fail "$1 is not there"; }
want_no_file() { [ ! -e "$1" ] || fail "$1 is there"; }

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}

# port_in FILE [NTH]: the port of the first (or NTH) line `ops: listening on ...` of what `ops run -v`
# says. Lines count when they are whole. Empty the file before ops starts: it may still be another's.
port_in() {
    local line nth=${2:-1}
    while IFS= read -r line; do
        case $line in "ops: listening on "*)
            [ $((nth -= 1)) -gt 0 ] || { echo "${line##*:}" && return 0; }
            ;;
        esac
    done <"$1"
    return 1
}

# qmp COMMAND...: asks the QEMU that has its socket at ./qmp; a name, or a whole request in JSON.
qmp() {
    python3 - "$@" <<'END' || fail "no answer from QMP"
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("qmp")
f = s.makefile("rw")
for word in ("qmp_capabilities", *sys.argv[1:]):
    try:
        f.write((word if word[0] == "{" else json.dumps({"execute": word})) + "\n")
        f.flush()
        while '"return"' not in (line := f.readline() or '"return"'):
            assert '"error"' not in line, line
    except ConnectionError: # as the end of file: the machine has ended by what it was told
        pass
END
}

# like_host PROGRAM ARGUMENT...: same stdout and status under ops as on the host.
like_host() {
    local want status
    want=$("$@" 2>"$T/host-err" </dev/null)
    status=$?
    ops run "$@"
    [ $STATUS = 125 ] && fail "the machine failed: $(said)"
    want_status $status
    want_out "$want"
}

# cc_program NAME [OPTION...]: compiles stdin to ./NAME.
cc_program() {
    local name=$1
    shift
    ${CC:-gcc} -O1 -w -x c -o "$name" - "$@" || fail "cannot compile $name"
}

e2e_one() { # FUNCTION
    local name=${1#test_} status begin=$SECONDS
    E2E_TMP=$(mktemp -d /var/tmp/ops-e2e.XXXXXX)
    E2E_WHY=$E2E_TMP/why
    (
        T=$E2E_TMP/work
        mkdir "$T" && cd "$T" || exit 1
        export XDG_CACHE_HOME=$E2E_TMP/cache XDG_DATA_HOME=$E2E_TMP/data XDG_STATE_HOME=$E2E_TMP/state
        export XDG_CONFIG_HOME=$E2E_TMP/config OPS_DEFAULT_CONFIG=$E2E_TMP/opsrc
        echo '{}' >"$OPS_DEFAULT_CONFIG"
        unset OPS_QEMU
        "$1"
    )
    status=$?
    case $status in
    0) echo "ok $name ($((SECONDS - begin)) s)" ;;
    77) echo "skip $name: $(cat "$E2E_WHY")" ;;
    *)
        printf 'not ok %s: %s\n' "$name" "$(sed '2,$s/^/    /' "$E2E_WHY" 2>/dev/null || echo "ended with $status")"
        echo "    repeat: O=$O $0 $name"
        E2E_FAILED=1
        ;;
    esac
    chmod -R u+w "$E2E_TMP"
    rm -rf "$E2E_TMP"
}

e2e_main() { # [NAME...]
    local f chosen
    E2E_FAILED=0
    for f in $(declare -F | awk '$3 ~ /^test_/ {print $3}'); do
        [ $# -eq 0 ] && chosen=1 || chosen=0
        for word in "$@"; do
            case ${f#test_} in $word) chosen=1 ;; esac
        done
        [ $chosen = 1 ] && e2e_one "$f"
    done
    exit $E2E_FAILED
}
