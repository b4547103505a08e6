#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Network cards: the cable pulled out, several queues, several cards.
. "$(dirname "$0")/lib.sh"

# qemu_with WORD...: a QEMU that gets these words besides.
qemu_with() {
    printf '#!/bin/bash\nexec qemu-system-x86_64 "$@" %s\n' "$*" >qemu
    chmod +x qemu
    export OPS_QEMU=$T/qemu
}

set_link() { # on|off
    qmp '{"execute": "set_link", "arguments": {"name": "net0", "up": '"$([ "$1" = on ] && echo true || echo false)"'}}'
}

# Tells what netlink says of the cable, and what the ioctl says then; ends with the cable in again.
make_watcher() {
    cc_program watcher -static <<'C'
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
static int running(void)
{
    struct ifreq r = {.ifr_name = "eth0"};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    ioctl(s, SIOCGIFFLAGS, &r);
    close(s);
    return !!(r.ifr_flags & IFF_RUNNING) + 10 * !!(r.ifr_flags & IFF_UP);
}
int main(void)
{
    struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), was = 1;
    char buffer[8192];
    setvbuf(stdout, NULL, _IOLBF, 0);
    bind(s, (void *)&a, sizeof a);
    printf("ready %d\n", running());
    for (int changes = 0; changes < 2;) {
        int n = recv(s, buffer, sizeof buffer, 0);
        for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            struct ifinfomsg *m = NLMSG_DATA(h);
            int now = !!(m->ifi_flags & IFF_RUNNING);
            if (h->nlmsg_type != RTM_NEWLINK || now == was)
                continue;
            was = now;
            changes++;
            printf("netlink %d ioctl %d\n", now, running());
        }
    }
    return 0;
}
C
}

test_cable() {
    make_watcher
    qemu_with -qmp "unix:$T/qmp,server=on,wait=off"
    for machine in microvm q35; do
        rm -f qmp
        timeout 60 "$OPS" run --machine $machine ./watcher >out 2>err </dev/null &
        wait_for 40 grep -qs '^ready 11' out || fail "$machine: no start: $(said)"
        set_link off
        wait_for 20 grep -qs '^netlink 0 ioctl 10' out || fail "$machine: the cable is out, nobody knows: $(cat out)"
        set_link on
        wait $!
        STATUS=$?
        want_status 0
        want_out "$(printf 'ready 11\nnetlink 0 ioctl 10\nnetlink 1 ioctl 11')"
    done
}

# The connection survives that the cable was out for a while; a new one waits for it.
test_cable_connection() {
    cat >server.py <<'END'
import socket
l = socket.create_server(("0.0.0.0", 8080))
print("ready", flush=True)
for _ in range(2):
    c = l.accept()[0]
    while data := c.recv(65536):
        c.sendall(data)
END
    qemu_with -qmp "unix:$T/qmp,server=on,wait=off"
    printf '{"Files": ["%s"]}' "$T/server.py" >files.json
    : >err
    timeout 100 "$OPS" run -v -c files.json -p 0:8080 /usr/bin/python3 "$T/server.py" >out 2>err </dev/null &
    PORT=$(wait_for 60 port_in err) || fail "no start: $(said)"
    cat >client.py <<'END'
import os, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for turn in range(3):
    data = os.urandom(100000)
    if turn == 1:
        print("off", flush=True)
        sys.stdin.readline()
    s.sendall(data[:30000])
    if turn == 1:
        print("on", flush=True)
    s.sendall(data[30000:])
    got = b""
    while len(got) < len(data):
        piece = s.recv(65536)
        assert piece, "the connection is lost"
        got += piece
    assert got == data
s.close()
socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
END
    mkfifo go
    exec 8<>go
    timeout 90 python3 client.py "$PORT" <go >client-out 2>client-err &
    CLIENT=$!
    wait_for 30 grep -qs off client-out || fail "no echo: $(cat client-err)"
    set_link off
    echo >&8
    wait_for 30 grep -qs on client-out || fail "no end: $(cat client-err)"
    set_link on
    wait $CLIENT || fail "$(tail -n 1 client-err)"
    wait %1
    STATUS=$?
    want_status 0
}

namespace() { # OPTION...: a tap device named cable, 10.0.2.2
    [ "$(id -u)" = 0 ] && command -v ip >/dev/null || skip "needs root and ip"
    NS=ops-e2e-$$
    ip netns add "$NS" 2>ns-err || skip "no network namespace: $(cat ns-err)"
    trap 'kill $(jobs -p) 2>/dev/null; ip netns del "$NS"' EXIT
    IN="ip netns exec $NS"
    $IN ip tuntap add cable mode tap "$@" && $IN ip addr add 10.0.2.2/24 dev cable && $IN ip link set cable up ||
        skip "no tap device"
}

# Gives everybody who asks the address 10.0.2.15.
dhcp_server() {
    cat >dhcp.py <<'END'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"cable")
s.bind(("", 67))
own, given = socket.inet_aton("10.0.2.2"), socket.inet_aton("10.0.2.15")
while True:
    q = s.recv(2000)
    kind = q[q.index(b"\x35\1", 240) + 2]
    if kind in (1, 3):
        s.sendto(b"\2\1\6\0" + q[4:8] + bytes(8) + given + own + bytes(4) + q[28:44] + bytes(192) + b"\x63\x82\x53\x63" +
                 bytes([53, 1, 2 if kind == 1 else 5]) + b"\x36\4" + own + b"\x33\4\0\1\0\0\1\4\xff\xff\xff\0\xff",
                 ("255.255.255.255", 68))
END
    $IN python3 dhcp.py 2>dhcp-err &
}

# Connections at once by a card with two queues, each gets its own bytes.
test_two_queues() {
    namespace multi_queue
    dhcp_server
    cat >server.py <<'END'
import socket, threading
def serve(c):
    f = c.makefile("rb")
    n = int.from_bytes(f.read(4), "little")
    c.sendall(f.read(n)[::-1])
    f.close()
    c.close()
l = socket.create_server(("0.0.0.0", 8080), backlog=64)
print("ready", flush=True)
for _ in range(24):
    threading.Thread(target=serve, args=l.accept()[:1]).start()
END
    cat >client.py <<'END'
import os, socket, threading
errors = []
def one(n):
    try:
        data = os.urandom(n)
        s = socket.create_connection(("10.0.2.15", 8080), 30)
        s.sendall(n.to_bytes(4, "little") + data)
        got = b""
        while piece := s.recv(65536):
            got += piece
        assert got == data[::-1], f"{n} bytes: {len(got)} others"
    except Exception as e:
        errors.append(e)
threads = [threading.Thread(target=one, args=(i * 9001,)) for i in range(24)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not errors, errors[0]
END
    printf '{"Files": ["%s"]}' "$T/server.py" >files.json
    for machine in microvm q35; do
        : >out
        $IN timeout --foreground -k 5 80 "$OPS" run -v --machine $machine --smp 2 --net tap:cable -c files.json \
            /usr/bin/python3 "$T/server.py" >out 2>err </dev/null &
        wait_for 60 grep -qs ready out || fail "$machine: no start: $(said)"
        grep -qs 'eth0: 2 queue pairs' err || fail "$machine: the card has not two queue pairs: $(said)"
        $IN timeout 60 python3 client.py 2>client-err || fail "$machine: $(tail -n 1 client-err)"
        wait $! || fail "$machine: ended with $?: $(said)"
    done
}

# Two cards, each with an address and a way in of its own.
test_two_cards() {
    cat >server.py <<'END'
import socket
l = socket.create_server(("0.0.0.0", 8080))
routes = [line.split() for line in open("/proc/net/route")][1:]
print("defaults", [(r[0], r[6]) for r in routes if r[1] == "00000000"])
print("ready", flush=True)
for _ in range(4):
    c = l.accept()[0]
    c.sendall(c.getsockname()[0].encode() + b" " + bytes(200000))
    c.close()
END
    cat >client.py <<'END'
import socket, sys
for turn in range(2):
    for port, want in zip(sys.argv[1:], ("10.0.2.15", "10.0.3.15")):
        s = socket.create_connection(("127.0.0.1", int(port)), 20)
        got = b""
        while piece := s.recv(65536):
            got += piece
        assert got == want.encode() + b" " + bytes(200000), (port, len(got), got[:20])
END
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    printf '{"Files": ["%s"]}' "$T/server.py" >files.json
    for machine in microvm q35; do
        local bus=device
        [ $machine = microvm ] || bus=pci
        qemu_with -netdev "user,id=net1,net=10.0.3.0/24,hostfwd=tcp:127.0.0.1:$port-:8080" -device virtio-net-$bus,netdev=net1
        : >err
        timeout 100 "$OPS" run -v --machine $machine -c files.json -p 0:8080 /usr/bin/python3 "$T/server.py" >out 2>err </dev/null &
        PORT=$(wait_for 60 port_in err) || fail "$machine: no start: $(said)"
        timeout 60 python3 client.py "$PORT" "$port" 2>client-err ||
            fail "$machine: $(tail -n 1 client-err)"
        wait $! || fail "$machine: ended with $?: $(said)"
        grep -qs "eth0', '0'" out || fail "$machine: $(cat out)"
    done
}

# A card of before virtio 1.0: its frames' header has 10 bytes, unless buffers are merged. What the
# other side sends comes back.
test_legacy_card() {
    python3 -c '
import socket
l = socket.create_server(("127.0.0.1", 0))
print(l.getsockname()[1], file=open("port", "w"), flush=True)
while True:
    c = l.accept()[0]
    while piece := c.recv(65536):
        c.sendall(piece)
    c.close()' &
    local echo=$!
    trap "kill $echo" EXIT
    wait_for 20 test -s port || fail "no echo"
    for more in '' ,mrg_rxbuf=off ,vectors=0 ,csum=off,mrg_rxbuf=off; do
        cat >qemu <<SCRIPT
#!/bin/bash
exec qemu-system-x86_64 "\${@/#virtio-net-pci,/virtio-net-pci,disable-modern=on$more,}"
SCRIPT
        chmod +x qemu
        OPS_QEMU=$T/qemu ops run --machine q35 --smp 2 /usr/bin/python3 -c "
import hashlib, random, socket, threading
c = socket.create_connection(('10.0.2.2', $(cat port)))
data = random.Random(1).randbytes(1 << 20)
def send():
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b''
while piece := c.recv(65536):
    got += piece
print(got == data)"
        want_status 0
        want_out True
    done
}

e2e_main "$@"
