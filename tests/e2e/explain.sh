#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What --explain says of a machine is what the machine has.
. "$(dirname "$0")/lib.sh"

test_everything() {
    mkdir shared && ops volume create notes
    printf x >pw
    ops run --explain --net none --memory 128M /bin/true
    want_status 0
    want_no_err
    want_out_has '^program +/bin/true, as user 0'
    want_out_has '^machine +microvm: 128 MiB, 1 CPU;'
    want_out_has '^root +a copy of [0-9]+ files and directories.*what is written ends with the machine$'
    want_out_has '^network +none$'
    want_out_lacks '^(port|share|volume) '
    ops run --explain --read-only -p 0.0.0.0:8080:80 --udp 5353 --mounts notes:/n:ro --share ./shared:/s \
        --secret PW=pw -e COLOUR=mauve --smp 2 --machine q35 /bin/true
    want_status 0
    want_out_has '^machine +q35: .* 2 CPUs;'
    want_out_has '^root .*nothing can be written to it$'
    want_out_has '^volume +notes at /n: can be read$'
    want_out_has "^share +$PWD/shared at /s: this host's own files can be read and written\$"
    want_out_has "^network +all that this user can connect to.*this host's own ports"
    want_out_has '^port +0.0.0.0:8080 of this host leads to its TCP port 80$'
    want_out_has '^port +127.0.0.1:5353 of this host leads to its UDP port 5353$'
    want_out_has '^variables .*COLOUR.*PW'
    want_out_lacks 'mauve'
    # Nothing was started or built.
    want_no_file "$XDG_CACHE_HOME/ops"
}

# 10.0.2.2 really is this host's own ports, and with --net none it is not there.
test_reach_is_real() {
    cc_program reach <<'END'
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
int main(int n, char **v)
{
    struct sockaddr_in a = {AF_INET, htons(atoi(v[1])), {inet_addr("10.0.2.2")}};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return connect(s, (struct sockaddr *)&a, sizeof a) ? 3 : 4;
}
END
    python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True: s.accept()' >port &
    server=$!
    trap 'kill $server' EXIT
    wait_for 20 test -s port || fail "no server"
    ops run ./reach "$(cat port)"
    want_status 4
    ops run --net none ./reach "$(cat port)"
    want_status 3
}

test_not_for_instances() {
    ops instance create --explain /bin/true
    want_error 2 'an instance cannot have --explain' 'ops run'
}

e2e_main "$@"
