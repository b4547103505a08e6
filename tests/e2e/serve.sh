# SPDX-License-Identifier: Apache-2.0
# For tests of servers: starting one with a forwarded port, asking it, ending it. Read by those
# behind lib.sh; no tests of its own.

# serve_ops WORD...: starts `ops WORD...`, which forwards a port: SERVER is its process, PORT the host's.
serve_ops() {
    : >server-err
    timeout --foreground -k 5 $E2E_LIMIT "$OPS" "$@" >server-out 2>server-err </dev/null &
    SERVER=$!
    PORT=$(wait_for 90 port_in server-err) || fail "no server: $(tail -n 5 server-err) $(tail -n 3 server-out)"
}

# The program is asked to end as a cloud would; its status is what it gives then.
stop() { # STATUS...
    kill -TERM "$SERVER"
    wait "$SERVER"
    local status=$?
    [[ " $* " == *" $status "* ]] || fail "the server ended with $status: $(tail -n 5 server-err)"
}

get() { # PATH [CURL OPTION...]
    local path=$1
    shift
    curl -sS --max-time 60 "$@" "http://127.0.0.1:$PORT$path" || fail "curl $path: $? $(tail -n 3 server-err)"
}
