#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What an image learns from the cloud it runs in: the time.
. "$(dirname "$0")/lib.sh"

# ntp_server SECONDS FILE: a time server on a port of its own, that many seconds ahead; its port is
# written to FILE.
ntp_server() {
    cat >ntp.py <<'END'
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], file=open(sys.argv[2], "w"), flush=True)
def stamp():
    t = time.time() + 2208988800 + float(sys.argv[1])
    return struct.pack("!II", int(t) & 0xffffffff, int(t % 1 * 2**32))
while True:
    q, who = s.recvfrom(100)
    print(len(q), q[0], q[1:40].strip(b"\0"), flush=True)
    at = stamp()
    s.sendto(bytes([0x24, 2, 6, 0xec]) + bytes(8) + b"TEST" + at + q[40:48] + at + stamp(), who)
END
    python3 ntp.py "$1" "$2" >"$2.log" 2>&1 &
    wait_for 20 test -s "$2" || fail "no time server"
}

# Waits until its clock differs from that at the start by more than a second could have; tells by
# how much, what adjtimex says and whether the clock that only goes forward went its way.
make_clock() {
    cc_program clock -static <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>
static double now(int clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
int main(int argc, char **argv)
{
    double apart = now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC), begin = now(CLOCK_MONOTONIC), moved = 0;
    struct timex x = {0};
    while (now(CLOCK_MONOTONIC) - begin < atof(argv[1])) {
        struct timespec pause = {0, 10000000};
        nanosleep(&pause, NULL);
        moved = now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC) - apart;
        x.modes = 0;
        if (adjtimex(&x) != TIME_ERROR)
            break;
    }
    printf("moved %.1f h synced %d\n", moved / 3600, !(x.status & STA_UNSYNC));
    return 0;
}
C
}

test_ntp() {
    trap 'kill $(jobs -p) 2>/dev/null' EXIT
    make_clock
    ntp_server 7200 port
    printf '{"NtpServers": ["10.0.2.2:%s"]}' "$(cat port)" >c.json
    for machine in microvm q35; do
        ops run --machine $machine -c c.json ./clock 30
        want_status 0
        want_out 'moved 2.0 h synced 1'
        want_no_err
    done
    grep -q "^48 35 b''$" port.log || fail "the questions are $(head -3 port.log)"
}

# What OPS calls it, and a server behind another that is silent.
test_ntp_passthrough() {
    trap 'kill $(jobs -p) 2>/dev/null' EXIT
    make_clock
    ntp_server -86400 port
    printf '{"ManifestPassthrough": {"ntp_servers": ["10.0.2.2:9", "10.0.2.2:%s"], "ntp_poll_min": "4"}}' "$(cat port)" >c.json
    ops run -c c.json ./clock 50
    want_status 0
    want_out 'moved -24.0 h synced 1'
}

# Nobody is asked where nobody is named.
test_ntp_not_configured() {
    make_clock
    ops run ./clock 1
    want_status 0
    grep -qE '^moved -?0.0 h synced 0$' out || fail "$(cat out)"
}

test_ntp_wrong() {
    cc_program idle -static <<<'int main(void) { return 0; }'
    for server in '10.0.2.2:0' '10.0.2.2:x' 'a b' '[fe80::1' '10.0.2.2:70000' ':123'; do
        printf '{"NtpServers": ["%s"]}' "$server" >c.json
        ops run -c c.json ./idle
        want_error 2 'of NtpServers cannot be a time server' 'HOST:PORT'
    done
    echo '{"NtpServers": ["10.0.2.2"], "NtpPollMin": 12}' >c.json
    ops run -c c.json ./idle
    want_error 2 'cannot be asked every 2\^12 to 2\^10 s' 'NtpPollMin'
}

e2e_main "$@"
