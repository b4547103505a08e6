#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packets by hand against the network stack: packets/*.py speak Ethernet over a datagram
# socket of QEMU. PACKETS_HOST=1 judges the scripts themselves: this host's own kernel, behind a
# tap device in a network namespace, takes the machine's place (needs root).
# Alone: a stall of 2 s is a failure.
. "$(dirname "$0")/lib.sh"

# packets SCRIPT [WORD...]
packets() {
    local script=$E2E_DIR/packets/$1.py limit=300
    shift
    ${CC:-gcc} -O1 -w -D_GNU_SOURCE -o "$T/guest-program" "$E2E_DIR/packets/guest.c" -pthread || fail "cannot compile"
    local in=() words=()
    if [ -n "${PACKETS_HOST:-}" ]; then
        NS=ops-packets-$$
        ip netns add "$NS" 2>ns-err || skip "no network namespace: $(cat ns-err)"
        trap 'ip netns del "$NS"' EXIT
        in=(ip netns exec "$NS") words=(--host)
        "${in[@]}" ip tuntap add cable mode tap && "${in[@]}" ip addr add 10.0.2.15/24 dev cable &&
            "${in[@]}" ip link set lo up && "${in[@]}" ip link set cable up &&
            "${in[@]}" ip route add default via 10.0.2.2 || skip "no tap device"
        "${in[@]}" bash -c 'ethtool -K cable tx off 2>/dev/null; echo 0 >/proc/sys/net/ipv4/tcp_no_metrics_save'
    fi
    cat >qemu <<END
#!/bin/bash
words=()
for word in "\$@"; do
    case \$word in
    user,id=net0* | tap,id=net0*) word="dgram,id=net0,local.type=unix,local.path=$T/guest,remote.type=unix,remote.path=$T/host" ;;
    esac
    words+=("\$word")
done
exec qemu-system-x86_64 "\${words[@]}" -qmp "unix:$T/qmp,server=on,wait=off"
END
    chmod +x qemu
    export OPS OPS_QEMU=$T/qemu PYTHONDONTWRITEBYTECODE=1
    timeout --foreground -k 5 $((limit + ${PACKETS_SECONDS:-30})) "${in[@]}" python3 "$script" "${words[@]}" "$T" "$@" >log 2>&1
    local status=$?
    [ -z "${PACKETS_LOG:-}" ] || cat log >&2
    [ $status = 0 ] || fail "$(grep -v '^ok ' log | tail -n 20)"
}

test_connections() { packets connections; }
test_data() { packets data; }
test_ip() { packets ip; }
test_end() { packets end; }
test_floods() { packets floods; }
test_dhcp() {
    [ -z "${PACKETS_HOST:-}" ] || skip "Linux leaves DHCP to a program"
    packets dhcp
}
# Longer: PACKETS_SECONDS; the same again: PACKETS_SEED.
test_fuzz() { packets fuzz "${PACKETS_SECONDS:-30}" "${PACKETS_SEED:-$RANDOM}"; }

e2e_main "$@"
