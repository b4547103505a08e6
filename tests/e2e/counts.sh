#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ceilings that noise does not move: instructions of a boot, of a system call, and
# the kernel's size. The program is the benchmark's (tests/bench/guest/).
# Alone: it counts how often an idle machine wakes.
. "$(dirname "$0")/lib.sh"

BOOT_MAX=550000 # about 6 % above what a boot takes now: 517,000
GETPPID_MAX=60
KERNEL_KIB_MAX=824 # with the drivers that machines without virtio need, NTP, metadata, crash records: 804
IDLE_MAX=2 # a second
SENDFILE_MAX=550 # a KiB; now: 350 to 400 (timers of a slow host count); copying took 1,130

# guest_with OPTION...: builds ./guest, and QEMU with more options for `ops`.
guest_with() {
    musl-gcc -O2 -pthread -static -no-pie -o guest "$E2E_TREE"/tests/bench/guest/*.c || fail "cannot compile"
    printf '#!/bin/sh\nexec qemu-system-x86_64 "$@" %s\n' "$*" >qemu
    chmod +x qemu
    export OPS_QEMU=$T/qemu
}

test_boot_instructions() {
    local main count
    # One line for every instruction executed outside the firmware.
    guest_with -singlestep -d exec,nochain -D "$T/log" \
        -dfilter 0x100000..0x2ffffff,0xffffffff80000000+0x10000000
    ops run --accel tcg --no-system-files ./guest boot
    want_status 0
    main=$(nm guest | awk '$3 == "main" {print $1}')
    count=$(grep -n -m 1 "/$main/" log | cut -d: -f1)
    rm -f log
    [ -n "$count" ] || fail "main was not reached"
    [ "$count" -le $BOOT_MAX ] || fail "$count instructions from the kernel's entry to main, not $BOOT_MAX"
}

test_getppid_instructions() {
    local count
    # The guest's TSC counts instructions.
    guest_with -icount shift=0,sleep=off
    ops run --accel tcg --no-system-files ./guest call
    want_status 0
    count=$(awk '$1 == "getppid" {printf "%.0f", $3}' out)
    [ -n "$count" ] || fail "no count: $(cat out)"
    [ "$count" -le $GETPPID_MAX ] || fail "$count instructions for a getppid, not $GETPPID_MAX"
}

# An idle machine sleeps: what interrupts it while its program does.
test_idle_wakeups() {
    local rate smp
    guest_with
    for smp in 1 2; do
        ops run --smp $smp --no-system-files ./guest idle
        want_status 0
        rate=$(awk '$1 == "wakeups" {print $2}' out)
        [ -n "$rate" ] || fail "no rate: $(cat out)"
        awk "BEGIN {exit !($rate <= $IDLE_MAX)}" || fail "$rate interrupts a second with $smp CPUs, not $IDLE_MAX"
    done
}

# sent_by KIB: instructions of the kernel in a machine that sends so much of a file through a tap.
sent_by() {
    mkfifo log-$1
    cat >qemu <<END
#!/bin/bash
words=()
for word in "\$@"; do
    case \$word in user,id=net0*) word=tap,id=net0,ifname=cable,script=no,downscript=no ;; esac
    words+=("\$word")
done
exec $IN qemu-system-x86_64 "\${words[@]}" -icount shift=0,sleep=on -singlestep -d exec,nochain -D "$T/log-$1" \
    -dfilter 0xffffffff80000000+0x10000000
END
    chmod +x qemu
    $IN timeout 60 python3 -c '
import socket
l = socket.create_server(("10.0.2.2", 9000))
open("listening", "w")
c = l.accept()[0]
n = 0
while piece := c.recv(1 << 20):
    n += len(piece)
print(n // 1024, flush=True)
c.sendall(b"!")' >sink-$1 &
    wait_for 20 test -e listening || fail "no sink"
    rm listening
    grep -c ^Trace log-$1 >count-$1 &
    local counter=$!
    OPS_QEMU=$T/qemu ops run --accel tcg --no-system-files -c map.json ./sender $1
    want_status 0
    wait $counter
    [ "$(cat sink-$1)" = $1 ] || fail "$(cat sink-$1) KiB came, not $1"
}

test_sendfile_instructions() {
    [ "$(id -u)" = 0 ] && command -v ip >/dev/null || skip "needs root and ip"
    NS=ops-e2e-$$
    ip netns add $NS 2>ns-err || skip "no network namespace: $(cat ns-err)"
    trap 'ip netns del $NS' EXIT
    IN="ip netns exec $NS"
    $IN ip link set lo up && $IN ip tuntap add cable mode tap && $IN ip addr add 10.0.2.2/24 dev cable &&
        $IN ip link set cable up || skip "no tap device"
    mkdir data
    head -c 1048576 /dev/urandom >data/file
    printf '{"MapDirs": {"%s/data": "/data"}}' "$T" >map.json
    cat >sender.c <<'END'
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9000)};
    long left = argc > 1 ? atol(argv[1]) * 1024 : 0;
    int s = socket(AF_INET, SOCK_STREAM, 0), f = open("/data/file", O_RDONLY);
    a.sin_addr.s_addr = inet_addr("10.0.2.2");
    if (connect(s, (void *)&a, sizeof a))
        return 1;
    for (off_t at = 0; left > 0; at &= 1048575) {
        long n = sendfile(s, f, &at, left < 1048576 - at ? left : 1048576 - at);
        if (n <= 0)
            return 2;
        left -= n;
    }
    shutdown(s, SHUT_WR);
    char end;
    return read(s, &end, 1) != 1;
}
END
    musl-gcc -O2 -static -no-pie -o sender sender.c || fail "cannot compile"
    sent_by 1024
    sent_by 3072
    local each=$((($(cat count-3072) - $(cat count-1024)) / 2048))
    echo "# $each instructions a KiB"
    [ $each -le $SENDFILE_MAX ] || fail "$each instructions for a KiB of sendfile, not $SENDFILE_MAX"
}

test_kernel_size() {
    local kib=$(($(stat -c %s "$O/kernel.elf") / 1024))
    [ $kib -le $KERNEL_KIB_MAX ] || fail "kernel.elf has $kib KiB, not $KERNEL_KIB_MAX"
}

e2e_main "$@"
