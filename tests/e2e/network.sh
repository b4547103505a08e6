#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ops network`, and machines on such networks, on tap devices and bridges. All of it happens in a
# network and mount namespace of the test's own; that needs root.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=90
PROGRAMS=$O/programs
"$E2E_TREE/scripts/fetch-programs" "$O" 2>&1 | sed 's/^/# /'
export PATH=$PATH:/usr/sbin:/sbin:$PROGRAMS/usr/sbin
export LD_LIBRARY_PATH=$PROGRAMS/usr/lib/x86_64-linux-gnu:$PROGRAMS/lib/x86_64-linux-gnu
if [ -z "${NETWORK_INSIDE:-}" ] && unshare -nm true 2>/dev/null; then
    NETWORK_INSIDE=1 exec unshare -nm bash "$0" "$@"
fi
[ -z "${NETWORK_INSIDE:-}" ] || ip link set lo up

namespace() {
    [ -n "${NETWORK_INSIDE:-}" ] || skip "no network namespace: needs root"
    command -v ip >/dev/null || skip "no ip"
    export XDG_RUNTIME_DIR=$E2E_TMP/run
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    trap 'kill $(jobs -p) 2>/dev/null; wait; cleanup' EXIT
}

# The tests share the namespace.
cleanup() {
    "$OPS" instance delete -f db >/dev/null 2>&1
    for name in $(ip -o link show | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p' | grep -v '^lo$'); do
        ip link delete dev "$name" 2>/dev/null
    done
    ip netns list 2>/dev/null | sed 's/ .*//' | grep "^ops-out-$$" | xargs -r -n 1 ip netns delete
    nft flush ruleset 2>/dev/null
    true
}

need_nft() { nft list ruleset >/dev/null 2>&1 || skip "no nftables"; }

want_no_network() { # NAME
    ! ip link show "ops-$1" >/dev/null 2>&1 || fail "the bridge ops-$1 is there"
    ! nft list table inet "ops-$1" >/dev/null 2>&1 || fail "the table ops-$1 is there"
    [ -z "$(ls -A "$XDG_DATA_HOME/ops/networks" 2>/dev/null)" ] || fail "files: $(ls -A "$XDG_DATA_HOME/ops/networks")"
}

# What was printed is as its schema says.
schema() { # NAME
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/$1.json" <out || fail "not as $1.json says: $(cat out)"
}

json() { python3 -c "import json, sys; print(json.load(open('out'))$1)"; }

test_create_list_delete() {
    namespace
    need_nft
    ops network list
    want_out ''
    ops network list --json
    schema network-list
    want_out '[]'
    ops network create lab --subnet 192.168.7.0/24 --ipv6 fd00:7::/64
    want_status 0
    want_out ''
    want_no_err
    ip -o address show dev ops-lab | grep -q 'inet 192.168.7.1/24 ' || fail "no address"
    ip -o address show dev ops-lab | grep -q 'inet6 fd00:7::1/64 ' || fail "no IPv6 address"
    nft list table inet ops-lab | grep -q 'ip saddr 192.168.7.0/24 oifname != "ops-lab" masquerade' || fail "no NAT"
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || fail "no forwarding"
    ops network create second
    want_status 0
    ops network list
    want_out "NAME         SUBNET             IPV6                 FIREWALL   STATE      MACHINES
lab          192.168.7.0/24     fd00:7::/64          nftables   up         0
second       10.77.0.0/24       -                    nftables   up         0"
    ops network list --json
    schema network-list
    [ "$(json '[1]["gateway"]')" = 10.77.0.1/24 ] || fail "list --json: $(cat out)"
    ops network inspect lab
    want_out "name         lab
bridge       ops-lab
subnet       192.168.7.0/24
gateway      192.168.7.1/24
ipv6         fd00:7::/64
gateway6     fd00:7::1/64
nat          yes
firewall     nftables
state        up
machines     "
    ops network inspect lab --json
    schema network-inspect
    [ "$(json '["machines"]')" = '[]' ] && [ "$(json '["nat"]')" = True ] || fail "inspect --json: $(cat out)"
    ops network delete lab second
    want_status 0
    want_out ''
    want_no_err
    want_no_network lab
    want_no_network second
}

test_no_nat() {
    namespace
    echo 0 >/proc/sys/net/ipv4/ip_forward
    ops network create quiet --no-nat --subnet 10.1.2.200/24
    want_status 0
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ] || fail "forwarding was switched on"
    ip -o address show dev ops-quiet | grep -q 'inet 10.1.2.200/24 ' || fail "no address"
    ops network inspect quiet --json
    schema network-inspect
    [ "$(json '["firewall"]')" = none ] || fail "a firewall"
    ops network delete quiet
    want_no_network quiet
}

test_iptables() {
    namespace
    [ ! -x /usr/sbin/nft ] && [ ! -x /sbin/nft ] || skip "nft is installed"
    mkdir bin
    for tool in iptables ip6tables; do # a package that is only unpacked lacks the plain names
        command -v $tool >/dev/null || command -v $tool-nft >/dev/null || skip "no $tool"
        ln -s "$(command -v $tool || command -v $tool-nft)" bin/$tool
        "bin/$tool" -t nat -L >/dev/null 2>&1 || skip "$tool does not work"
    done
    export XTABLES_LIBDIR=
    [ ! -d "$PROGRAMS/usr/lib/x86_64-linux-gnu/xtables" ] || XTABLES_LIBDIR=$PROGRAMS/usr/lib/x86_64-linux-gnu/xtables
    [ -n "$XTABLES_LIBDIR" ] || unset XTABLES_LIBDIR
    rules() { for tool in iptables ip6tables; do bin/$tool -t nat -S; bin/$tool -S; done; }
    local before
    before=$(rules)
    PATH=$T/bin:/usr/bin:/bin ops network create lab --ipv6 fd00:7::/64
    want_status 0
    want_no_err
    bin/iptables -t nat -S ops-lab | grep -q -- '-s 10.77.0.0/24 ! -o ops-lab -j MASQUERADE' || fail "no NAT"
    bin/ip6tables -S FORWARD | grep -q -- '-j ops-lab' || fail "nothing in FORWARD"
    PATH=$T/bin:/usr/bin:/bin ops network delete lab
    want_status 0
    [ "$(rules)" = "$before" ] || fail "rules stay"
    want_no_network lab
}

# What it prints is what it does.
test_dry_run() {
    namespace
    need_nft
    ops network create lab --dry-run --subnet 10.9.0.0/24
    want_status 0
    want_out 'ip link add name ops-lab type bridge
ip address add 10.9.0.1/24 dev ops-lab
'"nft 'table inet ops-lab { chain nat { type nat hook postrouting priority srcnat; ip saddr 10.9.0.0/24 oifname != \"ops-lab\" masquerade; }; chain forward { type filter hook forward priority filter; oifname \"ops-lab\" iifname != \"ops-lab\" ct state established,related accept; oifname \"ops-lab\" iifname != \"ops-lab\" drop; }; }'"'
sysctl -w net.ipv4.ip_forward=1
ip link set dev ops-lab up'
    want_no_network lab
    grep -v sysctl out | sh -e || fail "the commands fail"
    nft list table inet ops-lab >/dev/null || fail "no table"
    ops network create lab
    want_error 1 'there is an interface ops-lab already' 'ip link delete ops-lab'
}

test_errors() {
    namespace
    need_nft
    for name in '' -x ../x name-too-long a/b 'a b'; do
        ops network create -- "$name"
        want_error 2 "'$name' cannot be the name of a network" '1 to 11 letters'
    done
    ops network create user
    want_error 2 'user is a network that is always there'
    for net in moon 10.0.0.0 10.0.0.0/30 10.0.0.0/4 fd00::/64 10.0.0.0/x; do
        ops network create lab --subnet "$net"
        want_error 2 "$net is no subnet" '--subnet 192.168.7.0/24'
    done
    ops network create lab --ipv6 fd00::/48
    want_error 2 'fd00::/48 is no IPv6 network' '64 bits'
    ip link add name other type bridge && ip address add 10.5.1.1/16 dev other
    ops network create lab --subnet 10.5.0.0/24
    want_error 1 '10.5.0.0/24 overlaps with other \(10.5.1.1/16\)' 'other addresses'
    ops network create lab --subnet 10.77.0.0/24
    want_status 0
    ops network create lab
    want_error 1 'there is a network lab already' 'another name'
    ops network create b --subnet 10.77.0.128/25
    want_error 1 '10.77.0.128/25 overlaps with ops-lab \(10.77.0.1/24\)'
    ops network inspect lba
    want_error 1 'there is no network lba' 'did you mean lab'
    ops network delete moon
    want_error 1 'there is no network moon' 'ops network list'
    ops run --net lba /bin/true
    want_error 1 'there is no network lba' 'did you mean lab'
    ops network frob
    want_error 2 'ops network has no verb frob' '--help'
    ops run --net lab,ip=10.78.0.5 /bin/true
    want_error 2 '10.78.0.5 is no address of the network lab \(10.77.0.0/24\)'
    ops run --net lab,ip=10.77.0.1 /bin/true
    want_error 2 "10.77.0.1 is this host's address"
    ops run --net lab -p 8080 /bin/true
    want_error 2 'ports are forwarded in the user network, not with --net lab'
}

test_no_rights() {
    namespace
    need_nft
    command -v setpriv >/dev/null || skip "no setpriv"
    local tool=$OPS
    OPS=$T/powerless
    printf '#!/bin/sh\nexec setpriv --bounding-set -net_admin --inh-caps -net_admin %s "$@"\n' "$tool" >"$OPS"
    chmod +x "$OPS"
    ops network create lab --subnet 10.9.0.0/24
    want_error 1 'making a network needs root or CAP_NET_ADMIN$' \
        'with sudo it runs: ip link add name ops-lab type bridge; ip address add 10.9.0.1/24 dev ops-lab; nft .*; ip link set dev ops-lab up'
    want_no_network lab
    ops run --net tap /bin/true
    want_error 1 'making a tap device needs root or CAP_NET_ADMIN' 'user network needs no root'
    OPS=$tool ops network create lab
    want_status 0
    ops network delete lab
    want_error 1 'deleting a network needs root or CAP_NET_ADMIN' 'sudo'
    ip link show ops-lab >/dev/null || fail "it is gone"
}

# A step that fails, or a kill in the middle, leaves nothing that stays.
test_failure_and_kill() {
    namespace
    need_nft
    local real
    real=$(command -v nft)
    mkdir bin
    printf '#!/bin/sh\ncase $1 in add*) exec %s "$@" ;; esac\necho "nft: no such thing" >&2\nexit 1\n' "$real" >bin/nft
    chmod +x bin/nft
    PATH=$T/bin:$PATH ops network create lab
    want_error 1 "nft 'table inet ops-lab .*: nft: no such thing"
    want_no_network lab
    printf '#!/bin/sh\nkill -KILL $PPID\n' >bin/nft
    PATH=$T/bin:$PATH ops network create lab
    want_status 137
    ops network list --json
    schema network-list
    [ "$(json '[0]["state"]')" = incomplete ] || fail "state: $(cat out)"
    ops run --net lab /bin/true
    want_error 1 'the network lab was not finished' 'delete it'
    ops network create other
    want_status 0
    ! ip link show ops-lab >/dev/null 2>&1 || fail "the half network stays"
    ops network delete other
    want_no_network lab
    PATH=$T/bin:$PATH ops network create lab
    want_status 137
    ops network create lab
    want_status 0
    nft list table inet ops-lab >/dev/null || fail "it was not made whole"
    PATH=$T/bin:$PATH ops network delete lab
    want_status 137
    ops network delete lab
    want_status 0
    want_no_network lab
}

machine() { # FILES NAME WORD...: `ops run` in the background, output in FILES-out and FILES-err
    local files=$1
    shift
    : >"$files-err"
    "$OPS" run --timeout $E2E_LIMIT "$@" >"$files-out" 2>"$files-err" </dev/null &
}

map_scripts() { printf '{"MapDirs": {"%s/*.py": "/scripts"}}' "$T" >map.json; }

test_two_machines() {
    namespace
    need_nft
    cat >serve.py <<'END'
import socket
four, six = socket.create_server(("", 80)), socket.create_server(("::", 81), family=socket.AF_INET6)
print("ready", flush=True)
for s in four, six:
    c, a = s.accept()
    print(a[0], flush=True)
    c.sendall(b"here is web\n")
    c.close()
socket.create_server(("", 82)).accept()
END
    cat >ask.py <<'END'
import socket
def get(address):
    return socket.create_connection(address, 30).makefile().read().strip()
for family in socket.AF_INET, socket.AF_INET6:
    print(socket.getaddrinfo("web", 80, family, socket.SOCK_STREAM)[0][4][0])
print(get(("10.77.0.20", 80)))
print(get((socket.getaddrinfo("WEB.lab", 81, socket.AF_INET6)[0][4][0], 81)))
print(socket.gethostbyaddr("10.77.0.20")[0], socket.gethostbyaddr("fd00:7::14")[0], socket.gethostname())
for name in "nobody", "nobody.lab":
    try: socket.gethostbyname(name)
    except OSError as e: print(e.errno)
END
    map_scripts
    ops network create lab --subnet 10.77.0.0/24 --ipv6 fd00:7::/64 --no-nat
    machine web --name web --net lab,ip=10.77.0.20 -c map.json /usr/bin/python3 /scripts/serve.py
    local web=$!
    wait_for 60 grep -q ready web-out || fail "no server: $(cat web-err)"
    ops network inspect lab --json
    schema network-inspect
    [ "$(json '["machines"]')" = "[{'name': 'web', 'address': '10.77.0.20', 'address6': 'fd00:7::14'}]" ] || fail "machines: $(cat out)"
    ops network delete lab
    want_error 1 'the network lab is in use by web' 'stop its machines'
    ops run --net lab,ip=10.77.0.20 /bin/true
    want_error 1 'the address 10.77.0.20 is taken'
    ops run --net lab,ip=10.77.0.30 --hostname asker -c map.json /usr/bin/python3 /scripts/ask.py
    want_status 0
    want_out "10.77.0.20
fd00:7::14
here is web
here is web
web web asker
-2
-3"
    [ "$(sed -n 2,3p web-out | paste -sd ' ')" = '10.77.0.30 fd00:7::1e' ] || fail "the server saw $(cat web-out)"
    kill -KILL "$web" && wait "$web"
    wait_for 20 gone lab || fail "its address is not free"
    ops network delete lab
    want_status 0
    want_no_network lab
}

gone() { # NETWORK
    ops network inspect "$1" --json
    schema network-inspect
    [ "$(json '["machines"]')" = '[]' ]
}

# A small network has few addresses; those of machines that end are free again.
test_addresses() {
    namespace
    ops network create tiny --no-nat --subnet 10.3.3.0/29
    local i
    cat >wait.py <<'END'
import time
print("ready", flush=True)
time.sleep(600)
END
    map_scripts
    machine a --net tiny,ip=10.3.3.2 -c map.json /usr/bin/python3 /scripts/wait.py
    wait_for 60 grep -q ready a-out || fail "no machine: $(cat a-err)"
    for i in 3 4 5 6; do
        ops run --net tiny,ip=10.3.3.$i --print-manifest /bin/true
        want_out_has "^interface=10.3.3.$i/29 dns=10.3.3.1$"
    done
    for i in 0 7; do
        ops run --net tiny,ip=10.3.3.$i --print-manifest /bin/true
        want_error 2 "10.3.3.$i is no address of the network tiny"
    done
    ops run --name a --net tiny --print-manifest /bin/true
    local first
    first=$(grep ^interface out)
    ops run --name a --net tiny --print-manifest /bin/true
    [ "$(grep ^interface out)" = "$first" ] || fail "another address for the same name"
    kill %1
    wait
    wait_for 20 gone tiny || fail "its address is not free"
}

# One that runs by itself keeps its address when it is started again, also after a kill.
test_detached() {
    namespace
    ops network create lab --no-nat
    cat >serve.py <<'END'
import socket
l = socket.create_server(("", 80))
while True:
    c = l.accept()[0]
    c.sendall(b"served")
    c.close()
END
    map_scripts
    ops run -d --name db --net lab -c map.json /usr/bin/python3 /scripts/serve.py
    want_status 0
    want_out db
    local before
    ops network inspect lab
    before=$(grep ^machines out)
    [[ $before == *' db' ]] || fail "not on the network: $before"
    wait_for 60 served "$before" || fail "no answer"
    kill -KILL "$(cat "$XDG_RUNTIME_DIR/ops/db/pid")"
    ops instance wait db
    ops instance start db
    want_status 0
    ops network inspect lab
    [ "$(grep ^machines out)" = "$before" ] || fail "$before, then $(grep ^machines out)"
    wait_for 60 served "$before" || fail "no answer again"
    ops network delete lab
    want_error 1 'in use by db'
    ops instance stop --time 1 db
    ops instance delete db
    ops network delete lab
    want_status 0
    want_no_network lab
}

served() { # "machines ADDRESS NAME"
    [ "$(python3 -c 'import socket, sys
print(socket.create_connection((sys.argv[1].split()[1], 80), 10).recv(99).decode())' "$1" 2>/dev/null)" = served ]
}

# A second namespace is the outside: it sees the host's address, and cannot reach in.
test_outside() {
    namespace
    need_nft
    local out=ops-out-$$
    ip netns add "$out" 2>ns-err || skip "no network namespace: $(cat ns-err)"
    ip link add name far type veth peer name near netns "$out" &&
        ip address add 192.0.2.1/24 dev far && ip link set dev far up && ip netns exec "$out" ip link set lo up &&
        ip netns exec "$out" ip address add 192.0.2.2/24 dev near && ip netns exec "$out" ip link set dev near up ||
        skip "no veth devices"
    cat >outside.py <<'END'
import socket, struct, threading
def names(): # everything is 192.0.2.7
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("192.0.2.2", 53))
    while True:
        q, a = s.recvfrom(4096)
        end = q.index(b"\0", 12) + 5
        four = q[end - 4:end - 2] == b"\0\1"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + bytes([192, 0, 2, 7]) if four else b""
        s.sendto(q[:2] + b"\x81\x80\0\1" + struct.pack(">H", four) + b"\0\0\0\0" + q[12:end] + answer, a)
l = socket.create_server(("192.0.2.2", 80))
threading.Thread(target=names, daemon=True).start()
print("ready", flush=True)
c, a = l.accept()
c.sendall(a[0].encode())
c.close()
try:
    socket.create_connection((input_address := open("inside").read().strip(), 80), 3)
    print("in")
except OSError as e:
    print(type(e).__name__, flush=True)
END
    cat >inside.py <<'END'
import socket, time
l = socket.create_server(("", 80))
print(socket.gethostbyname("far.example.org"))
print(socket.create_connection(("192.0.2.2", 80), 30).recv(99).decode(), flush=True)
l.accept()
END
    map_scripts
    echo 'nameserver 192.0.2.2' >resolv
    mount --bind resolv "$(realpath /etc/resolv.conf)" || skip "no mounts"
    trap 'umount "$(realpath /etc/resolv.conf)"; kill $(jobs -p) 2>/dev/null; wait; cleanup' EXIT
    ops network create lab
    ops run --net lab,ip=10.77.0.9 --print-manifest /bin/true
    echo 10.77.0.9 >inside
    ip netns exec "$out" ip route add 10.77.0.0/24 via 192.0.2.1
    ip netns exec "$out" python3 outside.py >outside-out 2>outside-err &
    wait_for 20 grep -q ready outside-out || fail "$(cat outside-err)"
    machine in --net lab,ip=10.77.0.9 -c map.json /usr/bin/python3 /scripts/inside.py
    wait_for 60 grep -q Error outside-out || fail "outside: $(cat outside-out outside-err), inside: $(cat in-out in-err)"
    [ "$(tail -n 1 outside-out)" = TimeoutError ] || fail "from outside: $(cat outside-out)"
    [ "$(paste -sd ' ' in-out)" = '192.0.2.7 192.0.2.1' ] || fail "inside: $(cat in-out in-err)"
}

# After a start of the host the bridge is gone; the next machine brings it back.
test_down() {
    namespace
    need_nft
    ops network create lab
    ip link delete dev ops-lab
    nft delete table inet ops-lab
    ops network list --json
    schema network-list
    [ "$(json '[0]["state"]')" = down ] || fail "state: $(cat out)"
    ops run --net lab /bin/true
    want_status 0
    nft list table inet ops-lab >/dev/null || fail "no table"
    ops network inspect lab --json
    schema network-inspect
    [ "$(json '["state"]')" = up ] || fail "state: $(cat out)"
    ip link delete dev ops-lab
    ops network delete lab
    want_status 0
    want_no_network lab
}

show_cards() {
    cat >cards.py <<'END'
import os, socket
for name in sorted(os.listdir("/sys/class/net")):
    if name != "lo":
        print(name, *(open(f"/sys/class/net/{name}/{what}").read().strip() for what in ("address", "mtu")))
print(open("/etc/resolv.conf").read().split("\n", 1)[1].replace("\n", " ").strip())
print(socket.gethostname())
END
    map_scripts
}

test_tap_with_addresses() {
    namespace
    show_cards
    cat >answer.py <<'END'
import socket, sys
exec(open("/scripts/cards.py").read())
s = [socket.create_server(("", 80)), socket.create_server(("::", 81), family=socket.AF_INET6)]
print("ready", flush=True)
for l in s:
    c, a = l.accept()
    c.sendall(a[0].encode())
    c.close()
END
    ip tuntap add cable mode tap && ip address add 10.8.0.1/24 dev cable && ip link set cable up &&
        ip -6 address add fd00:8::1/64 dev cable nodad || skip "no tap device"
    machine m --net tap:cable --ip 10.8.0.2/24 --ip fd00:8::2/64 --gateway 10.8.0.1 --gateway fd00:8::1 --dns 10.8.0.1 \
        --dns fd00:8::1 --mac 52:54:00:aa:bb:cc --mtu 1400 --hostname host.example -c map.json /usr/bin/python3 /scripts/answer.py
    wait_for 60 grep -q ready m-out || fail "no server: $(cat m-err)"
    [ "$(cat m-out)" = "eth0 52:54:00:aa:bb:cc 1400
nameserver 10.8.0.1 nameserver fd00:8::1
host.example
ready" ] || fail "it says $(cat m-out)"
    for where in 10.8.0.2:80 '[fd00:8::2]:81'; do
        python3 -c 'import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
print(socket.create_connection((host.strip("[]"), int(port)), 30).recv(99).decode())' "$where" >>seen 2>&1
    done
    [ "$(paste -sd ' ' seen)" = '10.8.0.1 fd00:8::1' ] || fail "it saw $(cat seen)"
    wait %1 || fail "status $?: $(cat m-err)"
}

test_bridge() {
    namespace
    ops run --net bridge:br9 /bin/true
    want_error 1 'there is no bridge br9' 'ip link show type bridge'
    ip tuntap add notone mode tap
    ops run --net bridge:notone /bin/true
    want_error 1 'notone is no bridge'
    ip link add name br9 type bridge && ip address add 10.8.1.1/24 dev br9 && ip link set br9 up
    cat >client.py <<'END'
import socket
print(socket.create_connection(("10.8.1.1", 8099), 30).recv(99).decode())
END
    map_scripts
    python3 -c 'import socket
l = socket.create_server(("10.8.1.1", 8099))
for _ in range(2):
    c, a = l.accept(); c.sendall(a[0].encode()); c.close()' &
    ops run --net bridge:br9,ip=10.8.1.7/24,ifname=port7 -c map.json /usr/bin/python3 /scripts/client.py
    want_out 10.8.1.7
    want_status 0
    ! ip link show port7 >/dev/null 2>&1 || fail "the tap device stays"
    printf '{"MapDirs": {"%s/*.py": "/scripts"}, "RunConfig": {"Bridged": true, "BridgeName": "br9", "IPAddress": "10.8.1.9", "NetMask": "255.255.255.0"}}' "$T" >map.json
    ops run -c map.json --machine q35 /usr/bin/python3 /scripts/client.py
    want_out 10.8.1.9
}

test_several_cards() {
    namespace
    ops network create lab --no-nat --subnet 10.3.0.0/24
    show_cards
    cat >routes.py <<'END'
exec(open("/scripts/cards.py").read())
import struct
for line in open("/proc/net/route").readlines()[1:]:
    f = line.split()
    print(f[0], *(socket.inet_ntoa(struct.pack("=I", int(f[i], 16))) for i in (1, 2)))
END
    for machine in microvm q35; do
        ops run --machine $machine --net lab,ip=10.3.0.9,mac=52:54:00:00:00:09 --net user,mtu=1300 -c map.json /usr/bin/python3 /scripts/routes.py
        want_status 0
        [ "$(grep -c '^eth' out)" -ge 4 ] || fail "cards: $(cat out)"
        want_out_has 'eth[01] 52:54:00:00:00:09 1500'
        want_out_has 'eth[01] 52:54:00:12:34:5. 1300'
        want_out_has 'nameserver 10.3.0.1 nameserver 10.0.3.3'
        want_out_has '^eth[01] 0.0.0.0 10.0.3.2$'
    done
    ops run --net none --net user /bin/true
    want_error 2 '--net none excludes other networks'
    ops run --net user --net user --net user --net user --net user --net user /bin/true
    want_error 2 'room for 5 network cards' 'q35'
    ops run --net none --ip 10.0.0.1/8 /bin/true
    want_error 2 'nothing to set up'
}

interface() { # RunConfig MANIFEST-LINE...
    printf '{"RunConfig": {%s}}' "$1" >c.json
    shift
    ops run -c c.json --print-manifest /bin/true
    want_status 0
    [ "$(grep ^interface out)" = "$(printf 'interface=%s\n' "$@")" ] || fail "$(cat c.json): $(grep ^interface out)"
}

test_configuration() {
    interface '' '10.0.2.15/24 gateway=10.0.2.2 dns=10.0.2.3'
    interface '"IPAddress": "10.4.0.9", "NetMask": "255.255.0.0", "TapName": "tap7"' '10.4.0.9/16'
    interface '"IPAddress": "10.4.0.9", "Gateway": "10.4.0.1", "IPv6Address": "fd00::9", "TapName": "t"' \
        '10.4.0.9/24 fd00::9/64 gateway=10.4.0.1'
    interface '"Bridged": true' 'dhcp'
    interface '"Nics": [{"BridgeName": "br1"}, {"TapName": "t", "IPAddress": "10.1.0.2", "NetMask": "255.255.255.128"}]' \
        'dhcp' '10.1.0.2/25'
    interface '"IPAddress": "192.168.5.20"' '192.168.5.20/24 gateway=192.168.5.2 dns=192.168.5.3'
    printf '{"RunConfig": {"Nics": [{"Bridge": "x"}]}}' >c.json
    ops run -c c.json /bin/true
    want_error 2 'c.json:1:26: unknown key "Bridge"' 'BridgeName'
    printf '{"RunConfig": {"Nics": {}}}' >c.json
    ops run -c c.json /bin/true
    want_error 2 'Nics must be a list of objects'
    printf '{"RunConfig": {"IPAddress": "10.0.0.1", "NetMask": "255.0.255.0"}}' >c.json
    ops run -c c.json /bin/true
    want_error 2 'NetMask 255.0.255.0 is no mask'
}

test_card_errors() {
    ops run --ip 10.0.0.1 /bin/true
    want_error 2 '10.0.0.1 is no address with the bits of its network' '192.168.7.2/24'
    ops run --net tap --ip fd00::1/48 /bin/true
    want_error 2 'an IPv6 network has 64 bits here'
    ops run --net tap:x --ip 10.0.0.2/24 --gateway 10.0.1.1 /bin/true
    want_error 2 'the gateway 10.0.1.1 is not in the network of 10.0.0.2/24'
    ops run --net tap:x --gateway 10.0.1.1 /bin/true
    want_error 2 'a gateway needs an address' '--ip'
    ops run --mac 01:00:00:00:00:01 /bin/true
    want_error 2 '01:00:00:00:00:01 is no MAC address of a card'
    ops run --mtu 12 /bin/true
    want_error 2 '--mtu must be a number from 576 to 65000, not 12'
    ops run --dns moon /bin/true
    want_error 2 'moon is no address for --dns'
    ops run --dns 1.1.1.1 --dns 1.1.1.2 --dns 1.1.1.3 --dns 1.1.1.4 /bin/true
    want_error 2 'more than 3 name servers'
    ops run --net user,colour=red /bin/true
    want_error 2 '--net does not know colour=red' 'ip=, gateway='
    ops run --net tap:a/b /bin/true
    want_error 2 "'a/b' cannot be the name of an interface"
    ops run --hostname 'a b' /bin/true
    want_error 2 "'a b' cannot be a host name"
}

# The user network with other addresses: ports lead there, and the host is found.
test_user_addresses() {
    cat >serve.py <<'END'
import socket
l = socket.create_server(("", 8080))
print(open("/proc/net/pnp").read().split("\n", 1)[1].strip(), flush=True)
c = l.accept()[0]
c.sendall(c.getsockname()[0].encode())
print(socket.create_connection(("192.168.5.9", int(open("/scripts/port.py").read())), 30).recv(99).decode())
END
    python3 -u -c 'import socket
l = socket.create_server(("127.0.0.1", 0)); print(l.getsockname()[1]); l.accept()[0].sendall(b"the host")' >port.py &
    wait_for 10 test -s port.py
    map_scripts
    machine m -v --ip 192.168.5.20/24 --gateway 192.168.5.9 --dns 192.168.5.77 -p 0:8080 -c map.json /usr/bin/python3 /scripts/serve.py
    local port
    port=$(wait_for 60 port_in m-err) || fail "no server: $(tail -n 3 m-err)"
    [ "$(python3 -c 'import socket, sys
print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30).recv(99).decode())' "$port")" = 192.168.5.20 ] || fail "another address"
    wait
    [ "$(paste -sd ' ' m-out)" = 'nameserver 192.168.5.77 the host' ] || fail "it says $(cat m-out) $(tail -n 3 m-err)"
}

ECHO='
import socket, threading
def stream(l):
    while True:
        def one(c):
            while piece := c.recv(65536): c.sendall(piece)
            c.sendall(b"end"); c.close()
        threading.Thread(target=one, args=(l.accept()[0],)).start()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", 5353))
threading.Thread(target=stream, args=(socket.create_server(("", 8080)),)).start()
print("ready", flush=True)
while True:
    d, a = u.recvfrom(65536); u.sendto(d.upper(), a)'

# The services of a compose file find each other by name on a network of their own.
test_compose() {
    namespace
    need_nft
    echo 'import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port=80)' >serve.py
    echo 'import time, urllib.request; print(urllib.request.urlopen("http://db/").status, flush=True); time.sleep(1000)' >ask.py
    map_scripts
    cat >ops-compose.yaml <<'END'
name: shop
network: yes
services:
  web: {run: [-c, map.json, /usr/bin/python3, /scripts/ask.py], after: [db]}
  db: {run: [-c, map.json, /usr/bin/python3, /scripts/serve.py], ready: {url: http://db/}}
END
    ops compose up
    want_status 0
    want_out $'db\nweb'
    wait_for 30 eval '"$OPS" compose logs web | grep -qx "web | 200"' || fail "$("$OPS" compose logs)"
    ops network list
    want_out_has '^shop .* 2$'
    ops compose down -t 0
    want_out $'web\ndb'
    want_no_network shop
}


# Ports of an IPv6 address: streams with their ends, many at once, and datagrams.
test_ports_of_ipv6() {
    grep -qs ' lo$' /proc/net/if_inet6 || skip "no IPv6"
    echo "$ECHO" >echo.py
    map_scripts
    machine m -v -p '[::1]:0:8080' --udp '[::1]:8053:5353' -c map.json /usr/bin/python3 /scripts/echo.py
    local own=$!
    local port
    port=$(wait_for 60 port_in m-err) || fail "no server: $(tail -n 3 m-err)"
    grep -q '^ops: listening on http://\[::1\]:' m-err || fail "another address: $(grep listening m-err)"
    timeout 60 python3 - "$port" >got 2>&1 <<'END' || fail "$(cat got)"
import os, socket, sys, threading
def stream(data):
    s = socket.create_connection(("::1", int(sys.argv[1])), 30)
    threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR))).start()
    good.append(s.makefile("rb").read() == data + b"end")
good = []
stream(b"")
stream(os.urandom(3000000))
# All open at once, but one after another: behind the relay is QEMU's listener with a queue of 1.
many = []
for data in [os.urandom(10000) for _ in range(20)]:
    s = socket.create_connection(("::1", int(sys.argv[1])), 30)
    s.sendall(data[:1])
    assert s.recv(1) == data[:1]
    many.append((s, data[1:]))
for s, data in many: s.sendall(data), s.shutdown(socket.SHUT_WR)
for s, data in many: good.append(s.makefile("rb").read() == data + b"end")
assert good == [True] * 22, good
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
u.settimeout(5)
for text in b"one", b"x" * 1400:
    u.sendto(text, ("::1", 8053))
    assert u.recvfrom(65536)[0] == text.upper(), "another datagram"
print("ok")
END
    [ "$(cat got)" = ok ] || fail "$(cat got)"
    kill -KILL $own
    wait $own
    wait_for 20 port_free "$port" || fail "the port is still bound"
}

port_free() { python3 -c "import socket; socket.create_server(('::1', $1), family=socket.AF_INET6)" 2>/dev/null; }

test_port_words() {
    ops run --dry-run -p '8001-8003:81-83,127.0.0.2:9000,[::1]:7001-7002:71-72/udp' -p 9001/udp /bin/true
    want_status 0
    for words in tcp:127.0.0.1:8001-:81 tcp:127.0.0.1:8003-:83 tcp:127.0.0.2:9000-:9000 udp:127.0.0.1:9001-:9001; do
        want_out_has ",hostfwd=$words"
    done
    [ "$(grep -o 'hostfwd=udp:127.0.0.1:[0-9]*-:7[12]' out | wc -l)" = 2 ] || fail "$(cat out)"
    for words in '[::1]8080' '[::1]:' '[::x]:80' '[127.0.0.1]:80' '::1:80' '1.2.3.4.5:80' 'localhost:80:80' ''; do
        ops run -p "$words" /bin/true
        want_error 2 'is not a port to forward' '\[::1\]:8080:80'
    done
    ops run -p 80,443 -p 80 /bin/true
    want_error 2 'port 80 is forwarded twice'
    python3 -u -c 'import socket, time
s = socket.create_server(("::1", 0), family=socket.AF_INET6); print(s.getsockname()[1]); time.sleep(60)' >port &
    wait_for 10 test -s port
    ops run -p "$(cat port)" /bin/true
    want_error 1 "port $(cat port) is in use by python3? \(pid $!\)" '-p 0'
    ops run -p "[::1]:$(cat port):80" /bin/true
    want_error 1 "port $(cat port) is in use by python3? \(pid $!\)"
    ops run -p "127.0.0.1:$(cat port)" /bin/true
    want_status 0
    kill $!
}

e2e_main "$@"
