#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Many clients at once, and clients that behave badly, over a tap device in a network namespace
# of the test's own. Needs root. LOAD_SHORT: short connections in a row (3,000).
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=${LOAD_LIMIT:-150}
NS=ops-e2e-$$
PROGRAMS=$O/programs
"$E2E_TREE/scripts/fetch-programs" "$O" 2>&1 | sed 's/^/# /'
export PATH=$PATH:/usr/sbin:$PROGRAMS/usr/sbin
export LD_LIBRARY_PATH=$PROGRAMS/usr/lib/x86_64-linux-gnu:$PROGRAMS/lib/x86_64-linux-gnu

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
exec ip netns exec $NS qemu-system-x86_64 "\${words[@]}"
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
    access_log off; keepalive_timeout 600; client_header_timeout 600; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p;
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

e2e_main "$@"
