#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# DHCPv6 from a server of the distribution's, dnsmasq, over a tap device in a network namespace of
# the test's own. Needs root.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=120
NS=ops-e2e-$$
PROGRAMS=$O/programs
"$E2E_TREE/scripts/fetch-programs" "$O" 2>&1 | sed 's/^/# /'
export PATH=$PATH:/usr/sbin:$PROGRAMS/usr/sbin

network() {
    [ "$(id -u)" = 0 ] && command -v ip >/dev/null || skip "needs root and ip"
    command -v dnsmasq >/dev/null || skip "no dnsmasq"
    ip netns add "$NS" 2>ns-err || skip "no network namespace: $(cat ns-err)"
    trap 'kill $(jobs -p) 2>/dev/null; ip netns del "$NS"' EXIT
    IN="ip netns exec $NS"
    $IN ip link set lo up && $IN ip tuntap add cable mode tap && $IN ip link set cable up &&
        $IN ip addr add 2001:db8:1::1/64 dev cable nodad || skip "no tap device"
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
}

serve() { # OPTION...: for dnsmasq
    $IN env LD_LIBRARY_PATH="$PROGRAMS/usr/lib/x86_64-linux-gnu:$PROGRAMS/lib/x86_64-linux-gnu" \
        dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --port=0 --interface=cable \
        --enable-ra --ra-param=cable,4,1800 --dhcp-leasefile="$T/leases" --log-dhcp --log-facility=- \
        --dhcp-option=option6:dns-server,[2001:db8:1::53] "$@" >dnsmasq-out 2>&1 &
}

# A stateful range: the machine's address is the one leased; DHCP6_LONG=1: renewed after a minute.
test_stateful() {
    network
    serve --dhcp-range=2001:db8:1::100,2001:db8:1::1ff,64,2m
    cat >client.py <<'END'
import socket, time
end = time.monotonic() + 60
while not (own := [l.split()[0] for l in open("/proc/net/if_inet6") if l.startswith("20010db80001")]):
    assert time.monotonic() < end, "no address"
    time.sleep(0.1)
own = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(own[0]))
servers = open("/proc/net/pnp").read()
assert "nameserver 2001:db8:1::53\n" in servers, servers
s = socket.socket(socket.AF_INET6)
while True:
    try:
        s.bind((own, 0))
        s.connect(("2001:db8:1::1", 9000))
        break
    except OSError: # it is not made sure yet that nobody else has it
        assert time.monotonic() < end, "no connection"
        s.close()
        s = socket.socket(socket.AF_INET6)
        time.sleep(0.1)
s.sendall(own.encode() + b"\n")
s.recv(1)
END
    $IN timeout 100 python3 -c '
import socket
l = socket.create_server(("2001:db8:1::1", 9000), family=socket.AF_INET6)
c, peer = l.accept()
own = c.recv(100).decode().strip()
assert own == peer[0], (own, peer)
print(own, flush=True)
c.recv(1)' >server-out 2>server-err &
    OPS_QEMU=$T/qemu timeout --foreground -k 5 100 "$OPS" run -c map.json /usr/bin/python3 "$T/client.py" \
        >out 2>err </dev/null &
    wait_for 90 grep -qs 2001:db8:1::1 server-out ||
        fail "no connection: $(tail -n 2 err server-err) / $(tail -n 5 dnsmasq-out)"
    grep -q " $(cat server-out) " leases || fail "$(cat server-out) is not leased: $(cat leases)"
    [ -n "${DHCP6_LONG:-}" ] || return 0
    wait_for 90 grep -qs DHCPRENEW dnsmasq-out || fail "never renewed: $(tail -n 5 dnsmasq-out)"
    wait_for 20 sh -c "[ \$(grep -c DHCPREPLY dnsmasq-out) -ge 2 ]" || fail "no answer: $(tail -n 5 dnsmasq-out)"
}

e2e_main "$@"
