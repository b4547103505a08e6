#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What an image learns from the cloud it runs in: the time, its name, its user's data.
. "$(dirname "$0")/lib.sh"

# ntp_server SECONDS FILE: a time server on a port of its own, that many seconds ahead; its port is
# written to FILE.
ntp_server() {
    cat >ntp.py <<'END'
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], file=open(sys.argv[2], "w"), flush=True)
def stamp():
    t = time.time() + 2208988800 + float(sys.argv[1])
    return struct.pack("!II", int(t) & 0xffffffff, int(t % 1 * 2**32))
while True:
    q, who = s.recvfrom(100)
    print(len(q), q[0], q[1:40].strip(b"\0"), flush=True)
    at = stamp()
    s.sendto(bytes([0x24, 2, 6, 0xec]) + bytes(8) + b"TEST" + at + q[40:48] + at + stamp(), who)
END
    python3 ntp.py "$1" "$2" >"$2.log" 2>&1 &
    wait_for 20 test -s "$2" || fail "no time server"
}

# Waits until its clock differs from that at the start by more than a second could have; tells by
# how much, what adjtimex says and whether the clock that only goes forward went its way.
make_clock() {
    cc_program clock -static <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>
static double now(int clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
int main(int argc, char **argv)
{
    double apart = now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC), begin = now(CLOCK_MONOTONIC), moved = 0;
    struct timex x = {0};
    while (now(CLOCK_MONOTONIC) - begin < atof(argv[1])) {
        struct timespec pause = {0, 10000000};
        nanosleep(&pause, NULL);
        moved = now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC) - apart;
        x.modes = 0;
        if (adjtimex(&x) != TIME_ERROR)
            break;
    }
    printf("moved %.1f h synced %d\n", moved / 3600, !(x.status & STA_UNSYNC));
    return 0;
}
C
}

test_ntp() {
    trap 'kill $(jobs -p) 2>/dev/null' EXIT
    make_clock
    ntp_server 7200 port
    printf '{"NtpServers": ["10.0.2.2:%s"]}' "$(cat port)" >c.json
    for machine in microvm q35; do
        ops run --machine $machine -c c.json ./clock 30
        want_status 0
        want_out 'moved 2.0 h synced 1'
        want_no_err
    done
    grep -q "^48 35 b''$" port.log || fail "the questions are $(head -3 port.log)"
}

# What OPS calls it, and a server behind another that is silent.
test_ntp_passthrough() {
    trap 'kill $(jobs -p) 2>/dev/null' EXIT
    make_clock
    ntp_server -86400 port
    printf '{"ManifestPassthrough": {"ntp_servers": ["10.0.2.2:9", "10.0.2.2:%s"], "ntp_poll_min": "4"}}' "$(cat port)" >c.json
    ops run -c c.json ./clock 50
    want_status 0
    want_out 'moved -24.0 h synced 1'
}

# Nobody is asked where nobody is named.
test_ntp_not_configured() {
    make_clock
    ops run ./clock 1
    want_status 0
    grep -qE '^moved -?0.0 h synced 0$' out || fail "$(cat out)"
}

test_ntp_wrong() {
    cc_program idle -static <<<'int main(void) { return 0; }'
    for server in '10.0.2.2:0' '10.0.2.2:x' 'a b' '[fe80::1' '10.0.2.2:70000' ':123'; do
        printf '{"NtpServers": ["%s"]}' "$server" >c.json
        ops run -c c.json ./idle
        want_error 2 'of NtpServers cannot be a time server' 'HOST:PORT'
    done
    echo '{"NtpServers": ["10.0.2.2"], "NtpPollMin": 12}' >c.json
    ops run -c c.json ./idle
    want_error 2 'cannot be asked every 2\^12 to 2\^10 s' 'NtpPollMin'
}

# Tells its name, the variables that begin with T_, and what the files named hold.
make_teller() {
    cc_program teller -static <<'C'
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv)
{
    char name[100], text[66000];
    struct stat st;
    gethostname(name, sizeof name);
    printf("name %s\n", name);
    for (char **e = environ; *e; e++)
        if (!strncmp(*e, "T_", 2))
            printf("%s\n", *e);
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "r");
        if (!f || fstat(fileno(f), &st)) {
            printf("no %s\n", argv[i]);
            continue;
        }
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        printf("%s %o %d:%d %ld: %.60s\n", argv[i], st.st_mode & 07777, st.st_uid, st.st_gid, (long)st.st_size, text);
    }
    return 0;
}
C
}

# with_disk FILE: a QEMU that has it as one more disk.
with_disk() {
    printf '#!/bin/bash\nexec qemu-system-x86_64 "$@" -drive if=none,id=seed,format=raw,readonly=on,file=%s -device %s,drive=seed\n' \
        "$T/$1" "${2:-virtio-blk-device}" >qemu
    chmod +x qemu
    export OPS_QEMU=$T/qemu
}

seed_files() {
    mkdir -p seed
    printf 'instance-id: i-1\nlocal-hostname: web-7.example.com\nhostname: other\n' >seed/meta-data
    printf '# for the program\nT_A=one two\nT_B="quoted"=x\r\n\nnonsense\nT_IMAGE=new\n' >seed/user-data
}

# Every format that such a disk may have.
test_nocloud() {
    command -v mformat xorriso mkfs.vfat >/dev/null || skip "no mtools, xorriso or mkfs.vfat"
    make_teller
    seed_files
    local kind size
    printf '{"Metadata": "auto", "UserData": "env", "Env": {"T_IMAGE": "old", "T_KEPT": "yes"}}' >c.json
    for kind in 12 16 32 joliet rock both plain; do
        rm -f disk
        case $kind in
        12 | 16 | 32)
            size=$((kind == 12 ? 1 : kind == 16 ? 16 : 64))
            truncate -s ${size}M disk
            mkfs.vfat -F $kind -s 1 -n CIDATA disk >/dev/null || fail "mkfs.vfat"
            mcopy -i disk seed/meta-data seed/user-data :: || fail "mcopy"
            ;;
        joliet) xorriso -as mkisofs -quiet -V cidata -J -o disk seed 2>/dev/null ;;
        rock) xorriso -as mkisofs -quiet -V cidata -R -o disk seed 2>/dev/null ;;
        both) xorriso -as mkisofs -quiet -V cidata -J -R -o disk seed 2>/dev/null ;;
        plain) xorriso -as mkisofs -quiet -V cidata -iso-level 3 --norock -o disk seed 2>/dev/null ;;
        esac
        with_disk disk
        ops run -v -c c.json ./teller
        want_status 0
        want_out "$(printf 'name web-7\nT_IMAGE=new\nT_KEPT=yes\nT_A=one two\nT_B="quoted"=x')"
        want_err '1 lines of the user.s data are no variables'
    done
}

test_config_drive() {
    command -v xorriso >/dev/null || skip "no xorriso"
    make_teller
    mkdir -p tree/openstack/latest
    printf '{"uuid": "x", "meta": {"a": "b"}, "hostname": "db-3.novalocal", "name": "db"}' >tree/openstack/latest/meta_data.json
    printf '#cloud-config\nwrite_files: []\n' >tree/openstack/latest/user_data
    xorriso -as mkisofs -quiet -V config-2 -J -R -o disk tree 2>/dev/null || fail "xorriso"
    with_disk disk virtio-blk-pci
    printf '{"Metadata": "configdrive", "UserData": "/run/cloud/user-data", "Uid": 1000, "Gid": 1001}' >c.json
    ops run --machine q35 -c c.json ./teller /run/cloud/user-data
    want_status 0
    want_out "$(printf 'name db-3\n/run/cloud/user-data 600 1000:1001 30: #cloud-config\nwrite_files: []')"
    want_no_err
    printf '{"Metadata": "configdrive", "UserData": "env", "Hostname": "mine"}' >c.json
    ops run -v --machine q35 -c c.json ./teller
    want_out 'name mine'
    want_err 'instructions for another system'
}

# A disk that is not there, or whose file is too large; the program starts unless it must not.
test_metadata_missing() {
    command -v xorriso >/dev/null || skip "no xorriso"
    make_teller
    printf '{"Metadata": "nocloud"}' >c.json
    ops run -v -c c.json ./teller
    want_status 0
    want_out 'name ops'
    want_err 'metadata: nothing by nocloud: no disk'
    printf '{"Metadata": "nocloud", "MetadataRequired": true}' >c.json
    ops run -c c.json ./teller
    want_status 127
    want_out ''
    mkdir seed
    echo 'local-hostname: big' >seed/meta-data
    head -c 70000 /dev/zero | tr '\0' x >seed/user-data
    xorriso -as mkisofs -quiet -V cidata -J -o disk seed 2>/dev/null
    with_disk disk
    ops run -c c.json ./teller
    want_status 0
    want_out 'name big'
}

test_metadata_wrong() {
    make_teller
    for words in '"Metadata": "auto,aws"' '"UserData": "env"' '"MetadataRequired": true' '"Metadata": "auto", "UserData": "env2"' '"Metadata": "auto,"'; do
        echo "{$words}" >c.json
        ops run -c c.json ./teller
        want_error 2 '(Metadata|UserData)'
    done
}

# A cloud's service in a namespace, and a machine on a tap there.
cloud() {
    [ "$(id -u)" = 0 ] && command -v ip >/dev/null || skip "needs root and ip"
    NS=ops-e2e-$$
    ip netns add $NS 2>ns-err || skip "no network namespace: $(cat ns-err)"
    trap 'kill $(jobs -p) 2>/dev/null; ip netns del $NS' EXIT
    IN="ip netns exec $NS"
    $IN ip link set lo up && $IN ip addr add 169.254.169.254/32 dev lo && $IN ip tuntap add cable mode tap &&
        $IN ip addr add 10.0.2.2/24 dev cable && $IN ip link set cable up || skip "no tap device"
    make_teller
    cp "$E2E_DIR/metadata.py" .
}

# service KIND: serves until the test ends or another one is started.
service() {
    [ -z "${SERVER-}" ] || kill $SERVER
    rm -f ready
    $IN python3 metadata.py "$1" >service.log 2>&1 &
    SERVER=$!
    wait_for 20 test -e ready || fail "no service: $(cat service.log)"
}

in_cloud() { # WORD...
    timeout -k 5 $E2E_LIMIT $IN "$OPS" run --net tap:cable,ip=10.0.2.15/24,gateway=10.0.2.2 -c c.json "$@" >out 2>err </dev/null
    STATUS=$?
}

test_services() {
    cloud
    local kind
    for kind in gcp ec2 ec2v1 openstack digitalocean hetzner vultr azure; do
        service $kind
        printf '{"Metadata": "%s", "UserData": "env"}' "${kind%v1}" >c.json
        in_cloud ./teller
        want_status 0
        want_out "$(printf 'name host-%s\nT_FROM=%s' $kind $kind)"
        want_no_err
        grep -v '^ok ' service.log && fail "$kind: $(cat service.log)"
        echo '{"Metadata": "auto", "UserData": "/user"}' >c.json
        in_cloud ./teller /user
        want_status 0
        want_out "name host-$kind
/user 600 0:0 $((8 + ${#kind})): T_FROM=$kind"
    done
}

# Whatever stands there instead, the program starts, and soon.
test_hostile_services() {
    cloud
    local kind begin
    for kind in endless slow silent garbage huge redirect chunked-endless header-endless refused; do
        service $kind
        echo '{"Metadata": "auto", "UserData": "env"}' >c.json
        begin=$SECONDS
        in_cloud -v ./teller
        want_status 0
        want_out 'name ops'
        want_err 'metadata: nothing by auto: '
        [ $((SECONDS - begin)) -le 40 ] || fail "$kind: $((SECONDS - begin)) s"
    done
    service chunked
    in_cloud ./teller
    want_out "$(printf 'name host-chunked\nT_FROM=chunked')"
    service badname
    in_cloud ./teller
    want_out "$(printf 'name ops\nT_FROM=badname')"
}

# A lease with everything: name, domain, MTU, time server, search list, routes (and a router that
# they make void).
test_lease() {
    cloud
    cat >dhcp.py <<'END'
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"cable")
s.bind(("", 67))
a = socket.inet_aton
own, given = a("10.0.2.2"), a("10.0.2.15")
def option(n, v):
    return bytes([n, len(v)]) + v
more = option(12, b"leased") + option(15, b"one.example") + option(26, struct.pack("!H", 1400)) + \
    option(42, a("10.0.2.2")) + option(119, b"\3two\7example\0\5three\xc0\4") + \
    option(3, a("10.0.2.99")) + option(121, bytes([24]) + a("192.168.77.0")[:3] + a("10.0.2.3") +
    bytes([32]) + a("169.254.169.254") + a("10.0.2.3") + bytes([0]) + a("10.0.2.2"))
while True:
    q = s.recv(2000)
    kind = q[q.index(b"\x35\1", 240) + 2]
    asked = q[q.index(b"\x37", 240) + 2:][:q[q.index(b"\x37", 240) + 1]]
    assert {12, 15, 26, 42, 119, 121} <= set(asked), asked
    if kind in (1, 3):
        s.sendto(b"\2\1\6\0" + q[4:8] + bytes(8) + given + own + bytes(4) + q[28:44] + bytes(192) + b"\x63\x82\x53\x63" +
                 bytes([53, 1, 2 if kind == 1 else 5]) + b"\x36\4" + own + b"\x33\4\0\1\0\0\1\4\xff\xff\xff\0" + more + b"\xff",
                 ("255.255.255.255", 68))
END
    $IN ip addr add 10.0.2.3/24 dev cable
    $IN ip addr add 192.168.77.1/32 dev lo
    # Link-local addresses are reached by the route's gateway alone.
    $IN sysctl -q -w net.ipv4.conf.all.arp_ignore=1 || fail "no sysctl"
    $IN python3 dhcp.py 2>dhcp-err &
    $IN python3 -c '
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.2.2", 123))
while True:
    q, who = s.recvfrom(100)
    t = struct.pack("!II", int(time.time()) + 2208988800 + 3600 * 5 & 0xffffffff, 0)
    s.sendto(bytes([0x24, 2, 6, 0xec]) + bytes(8) + b"TEST" + t + q[40:48] + t + t, who)' &
    service ec2
    $IN python3 -m http.server --bind 192.168.77.1 8000 >http.log 2>&1 &
    cc_program seen -static <<'C'
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
static void show(const char *name)
{
    char line[300];
    FILE *f = fopen(name, "r");
    while (f && fgets(line, sizeof line, f))
        fputs(line, stdout);
}
int main(void)
{
    char name[100];
    struct ifreq r = {.ifr_name = "eth0"};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(8000)};
    struct timespec begin, now;
    struct timex x = {0};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    show("/etc/resolv.conf");
    show("/proc/net/route");
    ioctl(s, SIOCGIFMTU, &r);
    gethostname(name, sizeof name);
    printf("mtu %d name %s\n", r.ifr_mtu, name);
    inet_aton("192.168.77.1", &a.sin_addr);
    printf("connect %d\n", connect(s, (void *)&a, sizeof a));
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (adjtimex(&x) == TIME_ERROR && now.tv_sec - begin.tv_sec < 30);
    printf("synced %d\n", !(x.status & STA_UNSYNC));
    return 0;
}
C
    echo '{"NtpServers": ["dhcp"], "Metadata": "ec2", "MetadataRequired": true}' >c.json
    timeout -k 5 $E2E_LIMIT $IN "$OPS" run --net tap:cable -c c.json ./seen >out 2>err </dev/null
    STATUS=$?
    want_status 0
    want_out_has '^search two.example three.example$'
    want_out_lacks '^domain'
    want_out_has '^eth0.00000000.0202000A.0003.0.0.0.00000000'
    want_out_has '^eth0.004DA8C0.0302000A.0003.0.0.0.00FFFFFF'
    want_out_has '^eth0.FEA9FEA9.0302000A.0003.0.0.0.FFFFFFFF'
    want_out_has '^mtu 1400 name host-ec2$|^mtu 1400 name leased$'
    want_out_has '^connect 0$'
    want_out_has '^synced 1$'
    [ ! -s dhcp-err ] || fail "$(tail -n 1 dhcp-err)"
}

e2e_main "$@"
