#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Transfers over lossy, slow and disorderly links in a network namespace of the test's own:
# each arrives whole, both ways. Needs root.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=150
NS=ops-e2e-$$

# link NAME KEY=VALUE...: a server in the machine behind such a link, both ways, hashed.
over_link() {
    [ "$(id -u)" = 0 ] && command -v ip >/dev/null || skip "needs root and ip"
    ip netns add "$NS" 2>ns-err || skip "no network namespace: $(cat ns-err)"
    trap 'kill $(jobs -p) 2>/dev/null; ip netns del "$NS"' EXIT
    local in="ip netns exec $NS"
    $in ip tuntap add cable mode tap && $in ip addr add 10.0.2.2/24 dev cable && $in ip link set cable up ||
        skip "no tap device"
    cat >qemu <<END
#!/bin/bash
words=()
for word in "\$@"; do
    case \$word in
    user,id=net0*) word="dgram,id=net0,local.type=unix,local.path=$T/guest,remote.type=unix,remote.path=$T/host" ;;
    esac
    words+=("\$word")
done
exec qemu-system-x86_64 "\${words[@]}"
END
    chmod +x qemu
    cat >server.py <<'END'
import hashlib, socket
l = socket.create_server(("0.0.0.0", 8080))
print("ready", flush=True)
while True: # 4 bytes: how much comes; then the same number of other bytes goes back, and the hash
    c = l.accept()[0]
    f = c.makefile("rb")
    n = int.from_bytes(f.read(4), "little")
    h = hashlib.sha256(f.read(n))
    c.sendall(h.digest() + bytes(i * i >> 4 & 255 for i in range(n)))
    f.close()
    c.close()
END
    cat >client.py <<'END'
import hashlib, os, socket, sys
n = int(sys.argv[1])
s = socket.create_connection(("10.0.2.15", 8080), 20)
data = os.urandom(n)
s.sendall(n.to_bytes(4, "little") + data)
got = b""
while piece := s.recv(65536):
    got += piece
assert got[:32] == hashlib.sha256(data).digest(), "the way in"
assert got[32:] == bytes(i * i >> 4 & 255 for i in range(n)), f"the way back: {len(got) - 32} of {n}"
END
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    $in python3 "$E2E_DIR/bad_link.py" cable "$T" "$@" &
    wait_for 10 test -S host || fail "no link"
    OPS_QEMU=$T/qemu timeout --foreground -k 5 $E2E_LIMIT "$OPS" run -c map.json /usr/bin/python3 "$T/server.py" \
        >server-out 2>err </dev/null &
    wait_for 60 grep -qs ready server-out || fail "no server: $(said)"
    for size in 0 1 1448 60000 400000; do
        $in timeout 60 python3 client.py $size 2>client-err || fail "$size bytes: $(tail -n 1 client-err)"
    done
}

test_sound() { over_link loss=0; }
test_loss_1() { over_link loss=0.01; }
test_loss_5() { over_link loss=0.05; }
test_delay() { over_link delay=0.1; }
test_reordered() { over_link reorder=0.3; }
test_duplicated() { over_link duplicate=0.3; }
test_everything() { over_link loss=0.02 duplicate=0.02 reorder=0.1 delay=0.02; }

e2e_main "$@"
