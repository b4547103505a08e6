#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Many clients at once, and clients that behave badly, over a tap device in a network namespace
# of the test's own. Needs root. LOAD_SHORT: short connections in a row (3,000).
# Alone: it holds thousands of connections.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=${LOAD_LIMIT:-150}
NS=ops-e2e-$$
PROGRAMS=$O/programs
"$E2E_TREE/scripts/fetch-programs" "$O" 2>&1 | sed 's/^/# /'
export PATH=$PATH:/usr/sbin:$PROGRAMS/usr/sbin
export LD_LIBRARY_PATH=$PROGRAMS/usr/lib/x86_64-linux-gnu:$PROGRAMS/lib/x86_64-linux-gnu

QEMU_MORE= # options of QEMU besides

# serve WORD...: `ops run WORD...` behind a tap device; the machine is 10.0.2.15.
serve() {
    [ "$(id -u)" = 0 ] && command -v ip >/dev/null || skip "needs root and ip"
    ip netns add "$NS" 2>ns-err || skip "no network namespace: $(cat ns-err)"
    trap 'kill $(jobs -p) 2>/dev/null; ip netns del "$NS"' EXIT
    IN="ip netns exec $NS"
    $IN ip tuntap add cable mode tap && $IN ip addr add 10.0.2.2/24 dev cable && $IN ip link set cable up ||
        skip "no tap device"
    cat >qemu <<END
#!/bin/bash
words=()
for word in "\$@"; do
    case \$word in user,id=net0*) word=tap,id=net0,ifname=cable,script=no,downscript=no ;; esac
    words+=("\$word")
done
exec ip netns exec $NS qemu-system-x86_64 "\${words[@]}" $QEMU_MORE
END
    chmod +x qemu
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    OPS_QEMU=$T/qemu timeout --foreground -k 5 "$E2E_LIMIT" "$OPS" run -v -e LD_LIBRARY_PATH -c map.json "$@" \
        >server-out 2>server-err </dev/null &
    SERVER=$!
}

clients() { # CODE: a Python program; ADDRESS is where the server is
    {
        echo 'import os, random, resource, select, socket, struct, sys, threading, time'
        echo 'ADDRESS = ("10.0.2.15", 8080)'
        echo 'resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)'
        echo "$1"
    } >clients.py
    $IN timeout "$E2E_LIMIT" python3 clients.py >clients-out 2>clients-err ||
        fail "$(tail -n 2 clients-err) / $(tail -n 3 server-err)"
}

serve_nginx() {
    command -v nginx >/dev/null || skip "no nginx"
    mkdir www
    head -c 612 /dev/urandom >www/f612
    head -c 4000000 /dev/urandom >www/big
    cat >nginx.conf <<END
daemon off; master_process off; pid /tmp/nginx.pid; error_log stderr crit;
events { worker_connections 12000; }
http {
    access_log off; sendfile on; keepalive_timeout 600; client_header_timeout 600; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p;
    fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
    server { listen 8080 backlog=4096; root $T/www; }
}
END
    serve -m 512M "$(command -v nginx)" -c "$T/nginx.conf" -p /tmp
    clients "
end = time.time() + 60
while True:
    try:
        socket.create_connection(ADDRESS, 1).close()
        break
    except OSError:
        assert time.time() < end, 'no server'
        time.sleep(0.05)"
}

FETCH='
def fetch(s, name="f612"):
    s.sendall(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % name.encode())
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(65536)
        assert piece, "the server went"
        got += piece
    head, body = got.split(b"\r\n\r\n", 1)
    length = int([l for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:")][0].split(b":")[1])
    while len(body) < length:
        piece = s.recv(65536)
        assert piece, "the server went"
        body += piece
    assert body == open("www/" + name, "rb").read(), "another answer"
'

test_ten_thousand() {
    serve_nginx
    clients "$FETCH"'
held = [socket.create_connection(ADDRESS, 30) for _ in range(10000)]
for _ in range(2):
    random.shuffle(held)
    for s in held:
        fetch(s)'
}

test_slow_clients() {
    serve_nginx
    clients "$FETCH"'
slow = [socket.create_connection(ADDRESS, 30) for _ in range(1000)]
for s in slow:
    s.sendall(b"GET /f612 HTTP/1.1\r\nHost: x\r\nX: ")
for _ in range(4):
    start = time.time()
    for s in slow:
        s.sendall(b"x")
    for _ in range(50):
        fetch(socket.create_connection(ADDRESS, 30))
    time.sleep(max(0, 1 - (time.time() - start)))
for s in slow:
    s.sendall(b"\r\n\r\n")
    assert s.recv(12) == b"HTTP/1.1 200", "a slow one got nothing"'
}

test_rude_clients() {
    serve_nginx
    clients "$FETCH"'
for i in range(600):
    s = socket.create_connection(ADDRESS, 30)
    s.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"[:i % 32 + 1])
    if i % 3 == 0:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)) # a reset
    elif i % 3 == 1:
        s.shutdown(socket.SHUT_WR)
    s.close()
gone = socket.create_connection(ADDRESS, 30)
gone.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n") # takes nothing of the answer
fetch(socket.create_connection(ADDRESS, 30))
fetch(socket.create_connection(ADDRESS, 30), "big")'
}

test_short_connections() {
    cat >server.py <<'END'
import socket
l = socket.create_server(("0.0.0.0", 8080), backlog=128)
print("ready", flush=True)
while True:
    c = l.accept()[0]
    if c.recv(1) == b"m":
        c.sendall(open("/proc/meminfo", "rb").read())
        c.shutdown(socket.SHUT_WR)
    c.sendall(b"!") if c.recv(1) else None
    c.close()
END
    serve /usr/bin/python3 "$T/server.py"
    wait_for 60 grep -qs ready server-out || fail "no server: $(tail -n 3 server-err)"
    clients '
def memory():
    s = socket.create_connection(ADDRESS, 30)
    s.sendall(b"m")
    text = b""
    while piece := s.recv(65536):
        text += piece
    return int(text.split(b"MemAvailable:")[1].split()[0])
def many(n):
    for _ in range(n):
        s = socket.create_connection(ADDRESS, 30)
        s.sendall(b"ab")
        assert s.recv(2) == b"!", "no answer"
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)) # no TIME_WAIT here
        s.close()
n = int(os.environ.get("LOAD_SHORT", "3000"))
many(500)
before = memory()
many(n)
after = memory()
print(f"{n} connections, {before} KiB before, {after} KiB after")
assert before - after < 256, f"{before - after} KiB lost"'
    sed 's/^/# /' clients-out
}

# What a packet costs does not grow with the connections that are open besides.
test_packet_instructions() {
    cat >server.c <<'END'
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(8080)};
    struct rlimit files = {20000, 20000};
    struct epoll_event e = {.events = EPOLLIN};
    int l = socket(AF_INET, SOCK_STREAM, 0), ep = epoll_create1(0);
    setrlimit(RLIMIT_NOFILE, &files);
    e.data.fd = l;
    if (bind(l, (void *)&a, sizeof a) || listen(l, 4096) || epoll_ctl(ep, EPOLL_CTL_ADD, l, &e))
        return 1;
    puts("ready");
    fflush(stdout);
    for (char c; epoll_wait(ep, &e, 1, -1) == 1;) {
        if (e.data.fd == l) {
            e.data.fd = accept(l, NULL, NULL);
            if (e.data.fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e))
                return 2;
        } else if (read(e.data.fd, &c, 1) != 1 || write(e.data.fd, &c, 1) != 1) {
            close(e.data.fd);
        }
    }
    return 3;
}
END
    musl-gcc -O2 -static -no-pie -o server server.c || fail "cannot compile"
    export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$E2E_TREE/tests/bench/net
    QEMU_MORE=$(python3 -c 'import monitor, sys; print(*monitor.options(sys.argv[1]))' "$T")
    serve --accel tcg -m 512M ./server
    wait_for 60 grep -qs ready server-out || fail "no server: $(tail -n 3 server-err)"
    clients '
import monitor
counter = monitor.Monitor(".")
def connect(n):
    return [socket.create_connection(ADDRESS, 30) for _ in range(n)]
def turn():
    for s in few:
        s.sendall(b"x")
        assert s.recv(1) == b"x", "no answer"
def packets():
    return sum(int(open(f"/sys/class/net/cable/statistics/{way}_packets").read()) for way in ("rx", "tx"))
def each():
    """The least of a few measurements: timers add to it."""
    costs = []
    for _ in range(5):
        packets_before, before = packets(), counter.instructions()
        for _ in range(40):
            turn()
        costs.append((counter.instructions() - before) / (packets() - packets_before))
    return min(costs)
few = connect(10)
each()
alone = each()
many = connect(10000)
crowded = each()
print(f"{alone:.0f} instructions a packet with 10 connections, {crowded:.0f} with 10,000 besides")
assert crowded < alone * 1.05, f"{crowded:.0f} instructions a packet, not {alone:.0f}"'
    sed 's/^/# /' clients-out
}

# Segments point to a file's pages: those a transfer needs stay, whatever becomes of the file.
test_sendfile() {
    cat >server.py <<'END'
import os, socket
l = socket.create_server(("0.0.0.0", 8080), backlog=128)
content = bytes(i * 7 + i // 251 & 255 for i in range(1000003))
path = "/var/tmp/content"
print("ready", flush=True)
while True:
    c = l.accept()[0]
    what = c.recv(1)
    with open(path, "wb+") as f:
        f.write(content)
        f.flush()
        sent, left = 0, 1000003 - 12345
        if what == b"c": # cut off while nobody reads: what was sent stays as it was
            c.setblocking(False)
            try:
                while sent < left:
                    sent += os.sendfile(c.fileno(), f.fileno(), 12345 + sent, left - sent)
            except BlockingIOError:
                pass
            f.truncate(0)
            os.unlink(path)
            f.write(b"\0" * 500000)
            c.setblocking(True)
            c.sendall(b"%012d" % sent)
        elif what == b"w":
            try:
                while n := os.sendfile(c.fileno(), f.fileno(), 12345 + sent, 1 << 30):
                    sent += n
            except OSError: # the client has gone
                pass
        elif what == b"m":
            c.sendall(open("/proc/meminfo", "rb").read())
    c.close()
END
    serve /usr/bin/python3 "$T/server.py"
    wait_for 60 grep -qs ready server-out || fail "no server: $(tail -n 3 server-err)"
    clients '
content = bytes(i * 7 + i // 251 & 255 for i in range(1000003))[12345:]
def ask(what):
    s = socket.create_connection(ADDRESS, 60)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 30000)
    s.sendall(what)
    text = b""
    while piece := s.recv(65536):
        text += piece
    return text
def memory():
    return int(ask(b"m").split(b"MemAvailable:")[1].split()[0])
def rude():
    s = socket.create_connection(ADDRESS, 60)
    s.sendall(b"w")
    s.recv(1000)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
def round():
    assert ask(b"w") == content, "another content"
    cut = ask(b"c")
    assert int(cut[-12:]) == len(cut) - 12 > 60000, f"{cut[-12:]} sent, {len(cut)} came"
    assert cut[:-12] == content[:len(cut) - 12], "what was cut off has changed"
    rude()
for _ in range(3):
    round()
before = memory()
for _ in range(10):
    round()
after = memory()
assert before - after < 1024, f"{before - after} KiB lost"'
}

# Urgent data through a device that cuts segments: the mark stands where it belongs.
test_urgent() {
    cat >server.py <<'END'
import socket
l = socket.create_server(("0.0.0.0", 8080))
print("ready", flush=True)
c = l.accept()[0]
c.sendall(b"q" * 60000)
assert c.send(b"u" * 100000, socket.MSG_OOB) == 100000
c.sendall(b"v" * 100000)
c.recv(1)
END
    serve /usr/bin/python3 "$T/server.py"
    wait_for 60 grep -qs ready server-out || fail "no server: $(tail -n 3 server-err)"
    clients '
import fcntl
s = socket.create_connection(ADDRESS, 60)
def mark():
    return struct.unpack("i", fcntl.ioctl(s, 0x8905, b"\0" * 4))[0]
before = 0
while not mark():
    before += len(s.recv(5000))
assert before == 159999, f"the mark after {before} bytes"
select.select([], [], [s], 30)
assert s.recv(1, socket.MSG_OOB) == b"u", "another byte"
rest = b""
while len(rest) < 100000:
    rest += s.recv(65536)
assert rest == b"v" * 100000, "another rest"'
}

e2e_main "$@"
