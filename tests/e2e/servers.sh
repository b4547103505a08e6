#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Servers and clients, unchanged, over the user network: answers byte for byte those
# of the same program on the host. A program that is not installed is skipped.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"

E2E_LIMIT=120

# What is not installed is fetched once; its libraries lie beside it.
PROGRAMS=$O/programs
"$E2E_TREE/scripts/fetch-programs" "$O" 2>&1 | sed 's/^/# /'
export PATH=$PATH:/usr/sbin:$PROGRAMS/usr/bin:$PROGRAMS/usr/sbin
export LD_LIBRARY_PATH=$PROGRAMS/usr/lib/x86_64-linux-gnu:$PROGRAMS/lib/x86_64-linux-gnu

need() { # COMMAND
    command -v "$1" >/dev/null || skip "no $1"
}

# SERVERS_LONG: redis-benchmark with that many requests a test (500), iperf3 ten times as long.
LONG=${SERVERS_LONG:-}

serve() { # GUEST-PORT WORD...
    local guest=$1
    shift
    serve_ops run -v -e LD_LIBRARY_PATH -p "0:$guest" "$@"
}

make_files() {
    mkdir www
    : >www/empty
    for size in 1 612 20000 1000000 16777216; do
        head -c $size /dev/urandom >www/f$size
    done
    echo '<h1>hello</h1>' >www/index.html
    seq 100000 >www/numbers.txt
}

same_files() { # FILE...
    for f in "$@"; do
        get "/$f" -o got
        cmp -s got "www/$f" || fail "$f differs"
    done
}

# What a program sent before its end arrives, and its peers see that end; a peer that takes nothing
# delays it for some seconds only.
test_sent_before_the_end() {
    cat >peer.py <<'END'
import socket, time
with socket.create_server(("127.0.0.1", 0)) as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    print(server.getsockname()[1], flush=True)
    kept = []
    while True:
        c, _ = server.accept()
        kind = c.recv(1)
        if kind == b"s": # takes nothing more
            kept.append(c)
            continue
        time.sleep(0.3)
        size = 1
        while piece := c.recv(8192):
            size += len(piece)
        print(size, flush=True)
END
    python3 peer.py >sizes &
    trap "kill $!" EXIT
    wait_for 10 test -s sizes || fail "no server"
    cc_program sender <<'END'
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    int s = socket(AF_INET, SOCK_STREAM, 0), size = atoi(argv[3]);
    char *bytes = malloc(size);
    memset(bytes, *argv[4], size);
    if (connect(s, (struct sockaddr *)&to, sizeof to))
        return 1;
    for (int done = 0, n; done < size; done += n)
        if ((n = send(s, bytes + done, size - done, 0)) <= 0)
            return 2;
    if (*argv[4] == 'c')
        close(s);
    if (*argv[4] == 'k')
        raise(SIGKILL);
    return 0;
}
END
    local port size how
    port=$(head -n 1 sizes)
    for how in exit close kill; do
        for size in 100 150000 1000000; do
            echo $size >>want
            ops run ./sender 10.0.2.2 "$port" $size $how
            want_status "$([ $how = kill ] && echo 137 || echo 0)"
        done
    done
    wait_for 10 eval '[ $(wc -l <sizes) = 10 ]' || fail "not all connections ended"
    tail -n +2 sizes | cmp want - || fail "sent $(xargs <want), arrived $(tail -n +2 sizes | xargs)"
    ops run --timeout 40 ./sender 10.0.2.2 "$port" 150000 stalled
    want_status 0
}

test_nginx() {
    need nginx
    make_files
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost 2>/dev/null
    cat >nginx.conf <<END
daemon off; master_process off; pid /tmp/nginx.pid; error_log stderr warn;
events { worker_connections 600; }
http {
    access_log /tmp/access.log; default_type text/plain; gzip on; gzip_types text/plain; keepalive_requests 100000;
    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u;
    scgi_temp_path /tmp/s; sendfile on;
    server { listen 8080; listen 8443 ssl; root $T/www; ssl_certificate $T/cert.pem; ssl_certificate_key $T/key.pem; }
}
END
    printf '{"MapDirs": {"%s": "%s"}, "RunConfig": {"Ports": ["0:8443"]}}' "$T" "$T" >map.json
    serve 8080 -m 512M -c map.json "$(command -v nginx)" -c "$T/nginx.conf" -p /tmp
    same_files empty f1 f612 f20000 f1000000 f16777216
    [ "$(get /)" = '<h1>hello</h1>' ] || fail "index"
    get /numbers.txt --compressed -o got && cmp -s got www/numbers.txt || fail "gzip"
    [ "$(get /numbers.txt -r 10-19 | xxd -p)" = "$(head -c 20 www/numbers.txt | tail -c 10 | xxd -p)" ] || fail "range"
    [ "$(get /none -o /dev/null -w '%{http_code}')" = 404 ] || fail "no 404"
    printf 'GET /f1 HTTP/1.1\r\nHost: x\r\n\r\nGET /f612 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' |
        timeout 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT; cat >&3; cat <&3" >pipelined
    [ "$(grep -ao 'HTTP/1.1 200 OK' pipelined | wc -l)" = 2 ] || fail "pipelining"
    local tls
    tls=$(wait_for 20 port_in server-err 2) || fail "no second port: $(tail -n 5 server-err)"
    curl -sSk --max-time 60 "https://127.0.0.1:$tls/f1000000" -o got && cmp -s got www/f1000000 || fail "TLS"
    for _ in 1 2 3 4 5 6 7 8; do
        get /f1000000 -o "got$_" &
    done
    wait $(jobs -p | grep -v "^$SERVER$")
    for _ in 1 2 3 4 5 6 7 8; do
        cmp -s "got$_" www/f1000000 || fail "one of eight at once differs"
    done
    stop 0
}

test_redis() {
    need redis-server
    serve 6379 "$(command -v redis-server)" --save '' --protected-mode no --bind 0.0.0.0
    local cli="timeout 60 redis-cli -p $PORT"
    [ "$($cli set a 1)" = OK ] && [ "$($cli incr a)" = 2 ] || fail "set, incr"
    head -c 3000000 /dev/urandom | base64 -w0 >value
    $cli -x set big <value >/dev/null && $cli get big | tr -d '\n' | cmp -s - value || fail "a value of 4 MB"
    [ "$($cli eval 'return redis.call("incrby", KEYS[1], ARGV[1])' 1 a 40)" = 42 ] || fail "Lua"
    $cli --csv subscribe news >heard &
    local ear=$!
    wait_for 20 grep -qs subscribe heard || fail "subscribe"
    [ "$($cli publish news hello)" = 1 ] || fail "publish"
    wait_for 20 grep -q hello heard || fail "nothing heard"
    kill $ear
    timeout 60 redis-benchmark -p "$PORT" -n 2000 -c 8 -P 4 -q -t ping,set,get,incr,lpush,lpop,sadd,hset,spop,zadd,lrange_100,mset >bench 2>&1 ||
        fail "redis-benchmark: $(tail -n 3 bench)"
    stop 0
}

# Values as large as a client may well send, whole and in parts.
test_redis_large_values() {
    need redis-server
    serve 6379 -m 1G "$(command -v redis-server)" --save '' --protected-mode no --bind 0.0.0.0
    local cli="timeout 100 redis-cli -p $PORT"
    head -c 75000000 /dev/urandom | base64 -w0 >value
    [ "$($cli -x set big <value)" = OK ] || fail "set of 100 MB: $(tail -n 3 server-err)"
    [ "$($cli strlen big)" = 100000000 ] || fail "strlen"
    $cli get big | head -c 100000000 | cmp -s - value || fail "get of 100 MB"
    [ "$($cli getrange big 99999990 -1)" = "$(tail -c 10 value)" ] || fail "getrange"
    [ "$($cli copy big other)" = 1 ] && [ "$($cli del big other)" = 2 ] || fail "copy, del"
    stop 0
}

# Scripts that are kept, that fail, and that work for a while; subscribers by name and by pattern.
test_redis_scripts_and_channels() {
    need redis-server
    serve 6379 "$(command -v redis-server)" --save '' --protected-mode no --bind 0.0.0.0
    local cli="timeout 60 redis-cli -p $PORT" sha ears=()
    sha=$($cli script load 'local s = 0 for i = 1, ARGV[1] do s = s + redis.call("incr", KEYS[1]) end return s')
    [ "$($cli evalsha "$sha" 1 n 1000)" = 500500 ] || fail "evalsha"
    [ "$($cli eval 'local t = {} for i = 1, 200000 do t[i % 1000 + 1] = string.rep("x", i % 50) end return #table.concat(t)' 0)" = 24500 ] || fail "a long script"
    $cli eval 'return redis.call("incr", KEYS[1], "x", "y")' 1 n | grep -q 'ERR.*[Ww]rong number' || fail "no error"
    $cli eval 'return cjson.encode({a = {1, 2}})' 0 | grep -q '"a":\[1,2\]' || fail "cjson"
    $cli script flush >/dev/null
    $cli evalsha "$sha" 1 n 1 | grep -q NOSCRIPT || fail "the script stays"
    for i in 1 2 3; do
        $cli --csv psubscribe "news.*" >"heard$i" &
        ears+=($!)
    done
    $cli --csv subscribe news.a >heard4 &
    ears+=($!)
    for i in 1 2 3 4; do
        wait_for 20 grep -qs subscribe "heard$i" || fail "subscriber $i"
    done
    for i in $(seq 100); do echo "publish news.a message-$i"; done | $cli | sort -u >counts
    [ "$(cat counts)" = 4 ] || fail "receivers: $(cat counts)"
    [ "$($cli publish news.b last)" = 3 ] || fail "pattern"
    for i in 1 2 3; do
        wait_for 20 grep -q 'news.b","last"' "heard$i" || fail "subscriber $i did not hear the last"
        [ "$(grep -c 'message-' "heard$i")" = 100 ] || fail "subscriber $i heard $(grep -c message- "heard$i")"
    done
    wait_for 20 grep -q 'message-100"' heard4 && [ "$(grep -c 'message-' heard4)" = 100 ] || fail "heard by name: $(wc -l <heard4)"
    kill "${ears[@]}"
    stop 0
}

# Every test that redis-benchmark knows.
test_redis_benchmark() {
    need redis-server
    serve 6379 -m 512M "$(command -v redis-server)" --save '' --protected-mode no --bind 0.0.0.0
    timeout "$E2E_LIMIT" redis-benchmark -p "$PORT" -n "${LONG:-500}" -c 20 -q >bench 2>&1 || fail "redis-benchmark: $(tail -n 3 bench)"
    tr '\r' '\n' <bench | grep -c 'requests per second' >count
    [ "$(cat count)" -ge 20 ] || fail "$(cat count) tests: $(tail -n 3 bench)"
    ! grep -qi error bench || fail "$(grep -i error bench)"
    stop 0
}

# Both ways and both at once, TCP and UDP: what one side sent the other has received.
test_iperf3() {
    need iperf3
    local port seconds=1
    [ -z "$LONG" ] || seconds=10
    port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
    : >server-err
    timeout --foreground -k 5 $E2E_LIMIT "$OPS" run -v -e LD_LIBRARY_PATH -p "$port:5201" --udp "$port:5201" "$(command -v iperf3)" -s --forceflush \
        >server-out 2>server-err </dev/null &
    SERVER=$!
    PORT=$port
    wait_for 60 port_in server-err >port || fail "no server: $(tail -n 5 server-err)"
    cat >report.py <<'END'
import json, sys
end = json.load(sys.stdin)["end"]
udp, names = "-u" in sys.argv[1], ["sum"] if "-u" in sys.argv[1] else ["sum_received"]
if "bidir" in sys.argv[1]:
    names += ["sum_received_bidir_reverse"]
got = [end[n]["bytes"] for n in names]
print(sys.argv[1] or "plain", *(f"{g / 1e6:.1f} MB" for g in got), *([f"{end['sum']['lost_percent']:.1f} % lost"] if udp else []))
sys.exit(not all(g > 100000 for g in got) or (udp and end["sum"]["lost_percent"] > 50))
END
    for words in '' '-R' '--bidir' '-P 4' '-u -b 20M -l 1200' '-u -b 20M -l 1200 -R'; do
        timeout 60 iperf3 -c 127.0.0.1 -p "$port" -t $seconds -J $words >result || fail "iperf3 $words: $(grep error result) $(tail -n 3 server-err)"
        python3 report.py "$words" <result >>figures || fail "iperf3 $words: $(tail -n 1 figures)"
    done
    sed 's/^/# iperf3 /' figures
    stop 0 1 143
}

test_memcached() {
    need memcached
    serve 11211 "$(command -v memcached)" -u root -l 0.0.0.0 -t 2
    printf 'set k 0 0 5\r\nhello\r\nget k\r\nincr n 1\r\nquit\r\n' |
        timeout 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT; cat >&3; cat <&3" >got
    printf 'STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\nNOT_FOUND\r\n' | cmp -s - got || fail "$(cat got)"
    stop 0
}

test_lighttpd() {
    need lighttpd
    make_files
    printf 'server.document-root = "%s/www"\nserver.port = 8080\nindex-file.names = ("index.html")\n' "$T" >l.conf
    local modules=$PROGRAMS/usr/lib/lighttpd
    [ -d "$modules" ] || modules=/usr/lib/lighttpd
    printf '{"MapDirs": {"%s": "%s", "%s": "/modules"}}' "$T" "$T" "$modules" >map.json
    serve 8080 -m 512M -c map.json "$(command -v lighttpd)" -D -m /modules -f "$T/l.conf"
    same_files f1 f20000 f16777216
    stop 0
}

# The one in the machine sends requests on to a server of the host.
test_haproxy() {
    need haproxy
    make_files
    local own
    python3 -u -m http.server -b 127.0.0.1 -d www 0 >host-server 2>&1 &
    own=$!
    wait_for 20 grep -qs 'Serving HTTP' host-server || fail "no server on the host"
    cat >ha.cfg <<END
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend f
    bind :8080
    default_backend b
backend b
    server s 10.0.2.2:$(sed -n 's/.*port \([0-9]*\).*/\1/p' host-server)
END
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    serve 8080 -m 512M -c map.json "$(command -v haproxy)" -f "$T/ha.cfg"
    same_files f1 f20000 f1000000
    kill $own
    stop 0 143
}

# Two servers in turn; when one is gone, checks take it out, and nobody notices.
test_haproxy_balances() {
    need haproxy
    local ports=() owns=()
    for i in 1 2; do
        mkdir "www$i"
        echo "server $i" >"www$i/index.html"
        python3 -u -m http.server -b 127.0.0.1 -d "www$i" 0 >"host-server$i" 2>&1 &
        owns+=($!)
        wait_for 20 grep -qs 'Serving HTTP' "host-server$i" || fail "no server on the host"
        ports+=("$(sed -n 's/.*port \([0-9]*\).*/\1/p' "host-server$i")")
    done
    cat >ha.cfg <<END
global
    nbthread 2
defaults
    mode http
    option redispatch
    retries 3
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend f
    bind :8080
    default_backend b
backend b
    balance roundrobin
    option httpchk GET /
    server s1 10.0.2.2:${ports[0]} check inter 200ms fall 2
    server s2 10.0.2.2:${ports[1]} check inter 200ms fall 2
END
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    serve 8080 --smp 2 -m 512M -c map.json "$(command -v haproxy)" -f "$T/ha.cfg"
    for i in $(seq 10); do get / >>answers; done
    [ "$(sort answers | uniq -c | tr -s ' ' | paste -sd,)" = ' 5 server 1, 5 server 2' ] || fail "not in turn: $(paste -sd, answers)"
    kill "${owns[0]}" && wait "${owns[0]}" 2>/dev/null
    wait_for 20 grep -qs 'Server b/s1 is DOWN' server-err || fail "not noticed: $(tail -n 3 server-err)"
    for i in $(seq 10); do get / >>later; done
    [ "$(sort -u later)" = 'server 2' ] || fail "answers: $(sort -u later)"
    kill "${owns[1]}"
    stop 0 143
}

test_python_http() {
    make_files
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    serve 8000 -c map.json /usr/bin/python3 -u -m http.server -d "$T/www"
    same_files empty f1 f612 f1000000
    stop 143
}

test_python_asyncio_tls() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost 2>/dev/null
    cat >server.py <<'END'
import asyncio, ssl, sys
async def serve(reader, writer):
    while data := await reader.read(65536):
        writer.write(data.upper())
        await writer.drain()
    writer.close()
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1] + "/cert.pem", sys.argv[1] + "/key.pem")
    server = await asyncio.start_server(serve, None, 8443, ssl=context)
    await server.serve_forever()
asyncio.run(main())
END
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    serve 8443 -c map.json /usr/bin/python3 "$T/server.py" "$T"
    seq 20000 | sed 's/$/ abc/' >text
    python3 - "$PORT" >got <<'END' || fail "no TLS connection"
import asyncio, ssl, sys
async def main():
    context = ssl.create_default_context(cafile="cert.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]), ssl=context, server_hostname="localhost")
    data = open("text", "rb").read()
    sent = asyncio.create_task(send(writer, data)) # both ways at once, in one thread: SSL objects want that
    sys.stdout.buffer.write(await asyncio.wait_for(reader.readexactly(len(data)), 60))
    await sent
    writer.close()
async def send(writer, data):
    writer.write(data)
    await writer.drain()
asyncio.run(main())
END
    tr a-z A-Z <text | cmp -s - got || fail "the echo differs: $(wc -c <got) bytes"
    stop 143
}

test_go_http() {
    need go
    cat >server.go <<'END'
package main

import (
	"fmt"
	"io"
	"net/http"
)

func main() {
	http.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %s", r.URL.Query().Get("n")) })
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	if err := http.ListenAndServe(":8080", nil); err != nil {
		fmt.Println(err)
	}
}
END
    CGO_ENABLED=0 go build -o server server.go || fail "cannot compile"
    serve 8080 --smp 2 "$T/server"
    [ "$(get '/hello?n=7')" = 'hello 7' ] || fail "hello"
    head -c 3000000 /dev/urandom >body
    get /echo --data-binary @body -o got && cmp -s got body || fail "echo"
    stop 143
}

test_node_http() {
    need node
    cat >server.js <<'END'
const http = require('http'), crypto = require('crypto');
const server = http.createServer((request, response) => request.pipe(response));
server.on('upgrade', (request, socket) => { // WebSocket echo of short text frames
    const key = crypto.createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ' + key + '\r\n\r\n');
    socket.on('data', d => {
        const n = d[1] & 127, mask = d.slice(2, 6), text = d.slice(6, 6 + n).map((b, i) => b ^ mask[i % 4]);
        socket.write(Buffer.concat([Buffer.from([0x81, n]), text]));
    });
});
server.listen(8080);
END
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    serve 8080 -m 1G -c map.json "$(command -v node)" "$T/server.js"
    head -c 1000000 /dev/urandom >body
    get / --data-binary @body -o got && cmp -s got body || fail "echo"
    python3 - "$PORT" >got <<'END' || fail "WebSocket"
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
f = s.makefile("rb")
while (line := f.readline()) != b"\r\n":
    if line.lower().startswith(b"sec-websocket-accept"):
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in line
s.sendall(bytes([0x81, 0x85, 1, 2, 3, 4]) + bytes(b ^ (i % 4 + 1) for i, b in enumerate(b"hello")))
print(f.read(7)[2:].decode())
END
    [ "$(cat got)" = hello ] || fail "WebSocket said $(cat got)"
    stop 143
}

# WebSocket by asyncio: long frames, fragments, pings, the closing handshake.
test_websocket() {
    cat >ws.py <<'END'
import asyncio, base64, hashlib, struct
async def frame(reader):
    first, second = await reader.readexactly(2)
    n = second & 127
    if n > 125:
        n = int.from_bytes(await reader.readexactly(2 if n == 126 else 8), "big")
    mask = await reader.readexactly(4) if second & 128 else bytes(4)
    data = await reader.readexactly(n)
    key = (mask * (n // 4 + 1))[:n]
    return first, (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(n, "big")
def pack(first, data, mask=b""):
    n = len(data)
    size = bytes([n]) if n < 126 else b"\x7e" + struct.pack(">H", n) if n < 65536 else b"\x7f" + struct.pack(">Q", n)
    key = (mask * (n // 4 + 1))[:n] if mask else bytes(n)
    body = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(n, "big")
    return bytes([first, size[0] | (128 if mask else 0)]) + size[1:] + mask + body
async def serve(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = [l.split(": ")[1] for l in head.split("\r\n") if l.lower().startswith("sec-websocket-key")][0]
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
    text = b""
    while True:
        first, data = await frame(reader)
        if first & 15 == 9:
            writer.write(pack(0x8A, data))
        elif first & 15 == 8:
            writer.write(pack(0x88, data))
            break
        else:
            text += data
            if first & 128:
                writer.write(pack(0x81, text))
                text = b""
        await writer.drain()
    writer.close()
async def main():
    async with await asyncio.start_server(serve, "0.0.0.0", 8080) as server:
        await server.serve_forever()
END
    cat >server.py <<'END'
from ws import *
asyncio.run(main())
END
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    serve 8080 -c map.json /usr/bin/python3 "$T/server.py"
    cat >client.py <<'END'
import sys
from ws import *
MASK = b"\x11\x22\x33\x44"
async def one(i):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in await reader.readuntil(b"\r\n\r\n")
    for n in 0, 5, 125, 126, 65535, 65536, 300000:
        text = bytes((i + k) % 251 for k in range(n))
        writer.write(pack(0x81, text, MASK))
        assert await frame(reader) == (0x81, text), n
    writer.write(pack(0x01, b"one ", MASK) + pack(0x89, b"ping", MASK) + pack(0x80, b"two", MASK))
    assert await frame(reader) == (0x8A, b"ping")
    assert await frame(reader) == (0x81, b"one two")
    writer.write(pack(0x88, b"\x03\xe8", MASK))
    assert await frame(reader) == (0x88, b"\x03\xe8")
    assert await reader.read() == b""
async def all():
    await asyncio.gather(*(one(i) for i in range(8)))
asyncio.run(all())
END
    PYTHONDONTWRITEBYTECODE=1 timeout 100 python3 client.py "$PORT" >got 2>&1 || fail "$(tail -n 2 got)"
    stop 143
}

test_rust_threads() {
    need rustc
    cat >server.rs <<'END'
use std::io::{Read, Write};
use std::net::TcpListener;
fn main() {
    let listener = TcpListener::bind("0.0.0.0:8080").unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        std::thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(n) = stream.read(&mut buf) {
                if n == 0 { break; }
                stream.write_all(&buf[..n]).unwrap();
            }
        });
    }
}
END
    rustc -O server.rs 2>/dev/null || fail "cannot compile"
    serve 8080 --smp 2 "$T/server"
    head -c 2000000 /dev/urandom >body
    for i in 1 2 3 4; do
        python3 - "$PORT" body >"got$i" <<'END' &
import socket, sys, threading
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
data = open(sys.argv[2], "rb").read()
threading.Thread(target=lambda: (s.sendall(data), s.shutdown(1))).start()
while piece := s.recv(65536):
    sys.stdout.buffer.write(piece)
END
    done
    wait $(jobs -p | grep -v "^$SERVER$")
    for i in 1 2 3 4; do
        cmp -s "got$i" body || fail "echo $i differs"
    done
    stop 143
}

test_java_http() {
    need javac
    cat >Server.java <<'END'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Server {
    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
END
    javac Server.java || fail "cannot compile"
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    serve 8080 -m 1G -c map.json /usr/bin/java -Xmx128m -cp "$T" Server
    head -c 1000000 /dev/urandom >body
    get / --data-binary @body -o got && cmp -s got body || fail "echo"
    stop 143
}

# The machine as a client of the host, and names through the resolver.
test_clients() {
    local own port
    make_files
    python3 -u -m http.server -b 127.0.0.1 -d www 0 >host-server 2>&1 &
    own=$!
    wait_for 20 grep -qs 'Serving HTTP' host-server || fail "no server on the host"
    port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' host-server)
    ops run /usr/bin/curl -sS "http://10.0.2.2:$port/f1000000"
    want_status 0
    cmp -s out www/f1000000 || fail "curl: the file differs"
    if command -v wget >/dev/null; then
        ops run "$(command -v wget)" -q -O - "http://10.0.2.2:$port/numbers.txt"
        want_status 0
        cmp -s out www/numbers.txt || fail "wget: the file differs"
    fi
    kill $own
    ops run /usr/bin/python3 -c 'import socket
print(socket.getaddrinfo("localhost", 80, socket.AF_INET, socket.SOCK_STREAM)[0][4])
try: socket.create_connection(("10.0.2.2", 1), 5)
except OSError as e: print(type(e).__name__)'
    want_out "('127.0.0.1', 80)
ConnectionRefusedError"
}

test_no_network() {
    ops run --net none /usr/bin/python3 -c 'import socket
try: socket.create_connection(("10.0.2.2", 1), 5)
except OSError as e: print(e.errno)
l = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(l.getsockname()); print(l.accept()[1] == c.getsockname())'
    want_out "101
True"
}

test_port_errors() {
    ops run -p 99999 /bin/true
    want_error 2 'not a port' '-p 8080'
    ops run -p 80:x /bin/true
    want_error 2 'not a port'
    ops run -p 8000-8010:80 /bin/true
    want_error 2 'not a port'
    ops run --net none -p 80 /bin/true
    want_error 2 'user network'
    ops run --net moon /bin/true
    want_error 1 'there is no network moon' 'ops network create moon'
    ops run --net bridge /bin/true
    want_error 2 '--net must be user, none, tap, tap:IF, bridge:IF or a network.s name, not bridge'
    python3 -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); time.sleep(60)' >port &
    local holder=$!
    wait_for 10 test -s port
    ops run -p "$(cat port)" /bin/true
    want_error 1 "port $(cat port) is in use by python3? \(pid $holder\)" '-p 0'
    kill $holder
}

e2e_main "$@"
