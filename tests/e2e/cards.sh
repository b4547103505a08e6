#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Network cards of hypervisors without virtio: Intel's e1000 family, by pin and by message.
. "$(dirname "$0")/lib.sh"

CARDS='e1000 e1000-82545em e1000e'

# with_card CARD: a QEMU that has it in place of virtio's.
with_card() {
    cat >qemu <<SCRIPT
#!/bin/bash
exec qemu-system-x86_64 "\${@/#virtio-net-pci,/$1,id=card,}" -qmp "unix:$T/qmp,server=on,wait=off"
SCRIPT
    chmod +x qemu
    rm -f qmp
    export OPS_QEMU=$T/qemu
}

set_link() { # on|off
    qmp '{"execute": "set_link", "arguments": {"name": "net0", "up": '"$([ "$1" = on ] && echo true || echo false)"'}}'
}

make_server() {
    cat >server.py <<'END'
import hashlib, socket, threading
def echo(c):
    while data := c.recv(65536):
        c.sendall(data)
    c.close()
l = socket.create_server(("0.0.0.0", 8080), backlog=64)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("mac", open("/sys/class/net/eth0/address").read(), flush=True)
turns = int(__import__("sys").argv[1])
for _ in range(turns):
    threading.Thread(target=echo, args=(l.accept()[0],)).start()
END
}

# serve CARD TURNS [OPTION...]
serve() {
    local card=$1 turns=$2
    shift 2
    with_card "$card"
    printf '{"Files": ["%s"]}' "$T/server.py" >files.json
    : >err
    timeout 100 "$OPS" run -v --machine q35 "$@" -c files.json -p 0:8080 /usr/bin/python3 "$T/server.py" "$turns" >out 2>err </dev/null &
    SERVER=$!
    PORT=$(wait_for 60 port_in err) || fail "$card: no start: $(said)"
}

# Long streams, which the card cuts and whose sums it makes; many short ones; both ways at once.
test_streams() {
    make_server
    cat >client.py <<'END'
import os, random, socket, sys, threading
def client(n, piece):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
    data = os.urandom(n)
    def send():
        for at in range(0, n, piece):
            s.sendall(data[at:at + piece])
        s.shutdown(socket.SHUT_WR)
    t = threading.Thread(target=send)
    t.start()
    got = bytearray()
    while more := s.recv(1 << 20):
        got += more
    t.join()
    if got != data:
        wrong.append((n, piece, len(got)))
wrong = []
client(1, 1)
client(8 << 20, 1 << 20)
threads = [threading.Thread(target=client, args=(n, p)) for n, p in [(1 << 20, 65536), (300001, 1459), (20000, 7), (1460, 1460)] * 3]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not wrong, wrong
END
    local card smp=1
    for card in $CARDS; do
        serve $card 14 --smp $smp
        timeout 80 python3 client.py "$PORT" 2>client-err || fail "$card: $(tail -n 1 client-err)"
        wait $SERVER || fail "$card: ended with $?: $(said)"
        grep -q '^mac 52:54:00:' out || fail "$card: $(cat out)"
        smp=$((3 - smp))
    done
}

# To the host's own server, over IPv6 too: the guest sends what the card has to cut.
test_upload() {
    cat >sink.py <<'END'
import hashlib, socket, sys
l = socket.create_server(("::1" if sys.argv[1] == "6" else "127.0.0.1", 0), family=socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET)
print(l.getsockname()[1], flush=True)
c = l.accept()[0]
h = hashlib.sha256()
while data := c.recv(1 << 20):
    h.update(data)
print(h.hexdigest(), flush=True)
END
    cat >send.py <<'END'
import hashlib, os, socket, sys, time
data = os.urandom(2000000)
for attempt in range(100): # an IPv6 address comes a little later
    try:
        s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
        break
    except OSError:
        time.sleep(0.2)
s.sendall(data)
s.close()
print(hashlib.sha256(data).hexdigest())
END
    printf '{"Files": ["%s"]}' "$T/send.py" >files.json
    local card pair
    for card in $CARDS; do
        with_card $card
        for pair in 4:10.0.2.2 6:fec0::2; do
            rm -f sink-out
            timeout 90 python3 sink.py ${pair%%:*} >sink-out 2>sink-err &
            wait_for 20 test -s sink-out || fail "no sink: $(cat sink-err)"
            ops run --machine q35 --net user -c files.json /usr/bin/python3 "$T/send.py" "${pair#*:}" "$(head -n 1 sink-out)"
            want_status 0
            wait $!
            [ "$(tail -n 1 sink-out)" = "$(tail -n 1 out)" ] || fail "$card: other bytes by IPv${pair%%:*}"
        done
    done
}

# A stream lives on after the cable was out.
test_cable() {
    make_server
    cat >client.py <<'END'
import os, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
def echo(n, between=None):
    data = os.urandom(n)
    s.sendall(data[:n // 2])
    if between:
        between()
    s.sendall(data[n // 2:])
    got = b""
    while len(got) < n:
        piece = s.recv(65536)
        assert piece, "the connection is lost"
        got += piece
    assert got == data, "other bytes"
def wait():
    print("off", flush=True)
    sys.stdin.readline()
echo(1000)
echo(300000, wait)
END
    mkfifo go
    exec 8<>go
    local card
    for card in $CARDS; do
        serve $card 1
        : >client-out
        timeout 90 python3 client.py "$PORT" <go >client-out 2>client-err &
        CLIENT=$!
        wait_for 30 grep -qs off client-out || fail "$card: no echo: $(cat client-err)"
        set_link off
        echo >&8
        set_link on
        wait $CLIENT || fail "$card: $(tail -n 1 client-err)"
        wait $SERVER || fail "$card: ended with $?: $(said)"
    done
}

e2e_main "$@"
