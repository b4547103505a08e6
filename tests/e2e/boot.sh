#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real programs on the real kernel: output and exit status equal to the host's.
. "$(dirname "$0")/lib.sh"

HELLO='#include <stdio.h>
int main(int argc, char **argv) { printf("hello %d %s\n", argc, argv[argc - 1]); return 42; }'

hello() { # NAME [CC-OPTION...]
    cc_program "$@" <<<"$HELLO"
    like_host "./$1" one 'two words'
}


# Nothing has started the network before.
test_proc_net_without_a_socket() {
    local f
    for f in dev route arp if_inet6 igmp tcp tcp6 udp udp6 raw sockstat sockstat6 unix snmp netstat; do
        ops run /bin/cat /proc/net/$f
        want_status 0
    done
    ops run --net none /bin/cat /proc/net/dev
    want_out_has '^ *lo: +0 '
}

test_hello_static_musl() { CC=musl-gcc hello app -static; }
test_hello_dynamic_musl() { CC=musl-gcc hello app; }
test_hello_static_glibc() { hello app -static; }
test_hello_dynamic_glibc() { hello app; }
test_hello_static_pie() { hello app -static-pie; }
test_hello_no_pie() { hello app -no-pie; }

test_hello_cxx() {
    cat >app.cc <<'END'
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>
static int deep(int n) { if (n == 0) throw std::runtime_error("from below"); return deep(n - 1); }
int main() {
    std::vector<std::string> v{"c++", "works"};
    try { deep(20); } catch (const std::exception &e) { v.push_back(e.what()); }
    for (auto &s : v) std::cout << s << std::endl;
    return 3;
}
END
    g++ -O1 app.cc -o app || fail "cannot compile"
    like_host ./app
}

test_exit_statuses() {
    cc_program app <<<'#include <stdlib.h>
int main(int c, char **v) { return atoi(v[1]); }'
    for n in 0 1 77 127 255; do
        ops run ./app $n
        want_status $n
        want_no_err
    done
}

test_death_by_signal() {
    cc_program app <<<'#include <stdlib.h>
#include <signal.h>
int main(int c, char **v) {
    if (c == 2) *(volatile int *)0 = 1;
    if (c == 3) abort();
    raise(SIGTERM);
    return 0;
}'
    ops run ./app 1
    want_error 139 'SIGSEGV' 'trace'
    ops run ./app 1 2
    want_error 134 'SIGABRT'
    ops run ./app
    want_error 143 'SIGTERM'
}

test_uncaught_exception() {
    echo 'int main() { throw 1; }' >app.cc
    g++ app.cc -o app || fail "cannot compile"
    ops run ./app
    want_error 134 'SIGABRT'
    want_err 'terminate called'
}

test_sqlite() {
    echo "create table t(a, b); insert into t values(1, 'x'), (2, 'y'); select * from t order by a desc;" >sql
    sqlite3 :memory: <sql >want
    ops_input sql run /usr/bin/sqlite3 :memory:
    want_status 0
    cmp -s want out || fail "$(cat out)"
}

test_bc() {
    echo '2+2; scale=50; 4*a(1)' >in
    bc -l <in >want
    ops_input in run /usr/bin/bc -l
    want_status 0
    cmp -s want out || fail "$(cat out)"
}

test_lua() {
    like_host /usr/bin/lua5.4 -e 'for i = 1, 3 do print(i, math.sqrt(i), ("x"):rep(i)) end os.exit(9)'
}

test_perl() {
    like_host /usr/bin/perl -MList::Util=sum -e 'print sum(1 .. 10), "\n"; print "$_\n" for sort { $b <=> $a } 3, 1, 2; exit 4'
}

test_python() {
    [ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
    like_host /usr/bin/python3 -c 'import json, hashlib, re, decimal, sys
print(json.dumps({"a": [1, 2.5, None]}), hashlib.sha256(b"x").hexdigest())
print(re.sub("b+", "-", "abbbc"), decimal.Decimal(1) / 7)
sys.exit(6)'
}

test_busybox() {
    like_host /usr/bin/busybox echo one two
    like_host /usr/bin/busybox seq 5
    like_host /usr/bin/busybox expr 6 '*' 7
    like_host /usr/bin/busybox false
}

test_openssl() {
    like_host /usr/bin/openssl version
    head -c 100000 /dev/urandom >in
    openssl dgst -sha256 -r <in >want
    ops_input in run /usr/bin/openssl dgst -sha256 -r
    want_status 0
    cmp -s want out || fail "$(cat out)"
    ops run /usr/bin/openssl speed -seconds 1 -bytes 1024 sha256
    want_status 0
    want_out_has '^sha256 '
}

test_awk() {
    seq 100 >in
    mawk '{ s += $1 } END { print s, NR }' <in >want
    ops_input in run /usr/bin/mawk '{ s += $1 } END { print s, NR }'
    want_status 0
    cmp -s want out || fail "$(cat out)"
}

test_grep_over_a_tree() {
    mkdir -p d/e && seq 1000 >d/numbers && echo 'a 77 b' >d/e/f
    printf '{"MapDirs": {"d": "/data"}}' >c.json
    ops run -c c.json /usr/bin/grep -rc 77 /data
    want_status 0
    sort out | tr '\n' ' ' >got
    [ "$(cat got)" = '/data/e/f:1 /data/numbers:19 ' ] || fail "$(cat got)"
}

test_script() {
    printf '#!/usr/bin/env lua5.4\nprint("script", ...)\n' >s
    chmod +x s
    ops run ./s a b
    want_status 0
    want_out "$(./s a b)"
}

test_libraries_by_origin() {
    mkdir lib
    echo 'int one(void) { return 11; }' | gcc -shared -fPIC -x c -o lib/libone.so -
    cc_program app -Llib -lone '-Wl,-rpath,$ORIGIN/lib' <<<'int one(void); int main(void) { return one(); }'
    ops run ./app
    want_status 11
}

test_program_below_tmp() {
    dir=$(mktemp -d /tmp/ops-e2e.XXXXXX)
    trap 'rm -rf "$dir"' EXIT
    mkdir "$dir/lib"
    echo 'int one(void) { return 12; }' | gcc -shared -fPIC -x c -o "$dir/lib/libone.so" -
    cc_program "$dir/app" "-L$dir/lib" -lone "-Wl,-rpath,$dir/lib" <<<'int one(void); int main(void) { return one(); }'
    ops run "$dir/app"
    want_status 12
}

test_environment_and_place() {
    cc_program app <<<'#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    char cwd[100], host[100];
    gethostname(host, sizeof host);
    printf("%s %s %s %s %d\n", getenv("A"), getenv("HOME"), getcwd(cwd, 100), host, getuid());
    return 0;
}'
    printf '{"Cwd": "/srv", "Hostname": "box", "Uid": 1000, "MapDirs": {".": "/srv"}}' >c.json
    ops run -c c.json -e A=b=c ./app
    want_status 0
    want_out 'b=c /root /srv box 1000'
}

test_interrupt() {
    cc_program app <<<'#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static void on(int n) { static const char t[] = "caught\n"; write(1, t, 7); _exit(33); }
int main(void) { signal(SIGINT, on); puts("ready"); fflush(stdout); for (;;) pause(); }'
    "$OPS" run ./app >out 2>err </dev/null &
    local tool=$!
    wait_for 30 grep -qs ready out || fail "the program did not start: $(said)"
    kill -INT $tool
    wait $tool
    STATUS=$?
    want_status 33
    want_out "$(printf 'ready\ncaught')"
}

test_large_streams() {
    head -c 3000000 /dev/urandom >in
    cc_program app <<<'#include <unistd.h>
int main(void) { static char b[70000]; long n; while ((n = read(0, b, sizeof b)) > 0) if (write(1, b, n) != n) return 1; return 0; }'
    ops_input in run ./app
    want_status 0
    cmp in out || fail "the stream was changed"
}

test_every_way_to_boot() {
    cc_program app <<<"$HELLO"
    want=$(./app x)
    for how in '--machine microvm' '--machine q35' '--machine microvm --smp 2' '--machine q35 --smp 2' --no-aslr '-m 64M'; do
        ops run $how ./app x
        [ $STATUS = 42 ] && [ "$(cat out)" = "$want" ] || fail "$how: status $STATUS, $(cat out) $(said)"
    done
}

# A kernel without a manifest panics: reason, symbolised backtrace, power off.
test_panic_report() {
    timeout $E2E_LIMIT qemu-system-x86_64 -M microvm,acpi=off -accel tcg -cpu max -m 64 -nodefaults \
        -display none -no-reboot -serial stdio -device isa-debug-exit,iobase=0x501,iosize=4 \
        -kernel "$O/kernel.elf" >out 2>err </dev/null
    STATUS=$?
    [ $STATUS = 35 ] || fail "status $STATUS, not 35: $(cat out err)"
    want_out_has '^ops: kernel panic on cpu 0: manifest, line 0: no manifest'
    want_out_has '^ *by 0x[0-9a-f]{16} (manifest_load|kernel_main_guarded)\+0x'
}

address_of_main() { # OPTION...
    ops run "$@" ./app
    want_status 0
    cat out
}

test_address_space_randomisation() {
    cc_program app <<<'#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
int main(void) {
    int local;
    printf("%p %p %p %p %lx\n", (void *)main, (void *)puts, (void *)&local, malloc(1), getauxval(AT_SYSINFO_EHDR));
}'
    address_of_main >first
    address_of_main >second
    for i in 1 2 3 4 5; do
        [ "$(cut -d' ' -f$i first)" != "$(cut -d' ' -f$i second)" ] || fail "address $i stays: $(cat first second)"
    done
    address_of_main --no-aslr >first
    address_of_main --no-aslr >second
    cmp -s first second || fail "--no-aslr: $(cat first second)"
}

test_out_of_memory() {
    cc_program app <<<'#include <stdlib.h>
#include <string.h>
int main(void) { for (;;) { char *p = malloc(1 << 20); if (!p) return 5; memset(p, 1, 1 << 20); } }'
    for smp in 1 2; do
        ops run -m 32M --smp $smp ./app
        want_error 137 'out of memory: of 3[01] MiB the program has' '-m'
    done
}

# grub_boot SMP OPTION...: boots ./disk, which the options attach; clean: what the serial line said.
grub_boot() {
    local smp=$1
    shift
    timeout $E2E_LIMIT qemu-system-x86_64 -M ${MACHINE-q35} -accel tcg -cpu max -smp $smp -m 256 -nodefaults -display none \
        -no-reboot -serial stdio -device isa-debug-exit "$@" >out 2>err </dev/null
    STATUS=$?
    tr -d '\r' <out >clean
    [ $STATUS = 33 ] || fail "$*, $smp CPUs: status $STATUS, not 33; serial line: $(tail -c 400 out)"
}

# Counts its boots on the root filesystem, and tells where that is.
make_counter() {
    cc_program app <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char root[64] = "", text[16] = "";
    int n = 0, fd = open("/count", O_RDWR | O_CREAT, 0644);
    FILE *f = fopen("/proc/mounts", "r");
    if (!f || fscanf(f, "%63s", root) != 1)
        return 1;
    if (read(fd, text, sizeof text - 1) > 0)
        sscanf(text, "%d", &n);
    if (pwrite(fd, text, sprintf(text, "%d\n", n + 1), 0) < 0 || fsync(fd))
        return 2;
    printf("boot %d of %s from %s\n", n + 1, argv[1], root);
    return 42;
}
C
    ops build ./app -o new x
    want_status 0
    start=$(($(sgdisk -i 4 new | sed -n 's/^First sector: \([0-9]*\).*/\1/p') * 512))
}

# What was written is there at the next boot, on controllers of all kinds.
test_disk_boots_by_grub() {
    make_counter
    while read -r MACHINE name device; do
        cp --sparse=always new disk
        for smp in 1 2; do
            grub_boot $smp -drive file=disk,format=raw,if=none,id=disk -device $device
            grep -qx "boot $smp of x from $name" clean && grep -qx 'ops: exit status 42' clean || fail "$device: $(tail -n 20 clean)"
        done
        e2fsck -fn "disk?offset=$start" >fsck 2>&1 || fail "$device: e2fsck: $(head -c 600 fsck)"
    done <<'END'
q35 vda4 virtio-blk-pci,drive=disk
pc vda4 virtio-blk-pci,drive=disk,disable-modern=on
q35 sda4 virtio-scsi-pci -device scsi-hd,drive=disk
q35 nvme0n1p4 nvme,drive=disk,serial=x
q35 sda4 ide-hd,drive=disk,bus=ide.2
pc sda4 ide-hd,drive=disk,bus=ide.0
END
}

# Names follow the order on the bus, whichever disk has the root.
test_order_of_disks() {
    make_counter
    truncate -s 16M other other2
    for n in 0 1; do
        grub_boot 2 -device nvme,drive=other,serial=a,addr=$((5 - n)) -device nvme,drive=disk,serial=b,addr=$((4 + n)),bootindex=0 \
            -device ide-hd,drive=other2,bus=ide.0 -drive file=new,format=raw,if=none,id=disk,snapshot=on \
            -drive file=other,format=raw,if=none,id=other -drive file=other2,format=raw,if=none,id=other2
        grep -qx "boot 1 of x from nvme${n}n1p4" clean || fail "$(cat clean)"
    done
}

# Without a host that reads the serial line a panic is seen on the screen.
test_panic_on_the_screen() {
    make_counter
    printf 'lost\0' | dd of=new bs=1 seek=$((start + 1024 + 120)) conv=notrunc status=none # the label
    timeout $E2E_LIMIT qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none -vga std -no-reboot \
        -serial file:serial -qmp unix:qmp,server=on,wait=off -drive file=new,format=raw,if=virtio >out 2>err </dev/null &
    wait_for 40 grep -qs 'by 0x' serial || fail "no panic: $(cat serial)"
    qmp '{"execute": "pmemsave", "arguments": {"val": 753664, "size": 4000, "filename": "'"$T"'/screen"}}' quit
    wait
    python3 - >seen <<'END'
cells = open("screen", "rb").read()
assert set(cells[1::2]) == {0x1f}, set(cells[1::2])
text = cells[::2].decode()
print("\n".join(text[i:i + 80].rstrip() for i in range(0, len(text), 80)))
END
    grep -q '^ops: kernel panic on cpu 0: no root filesystem labelled' seen && grep -q '^  by 0x' seen || fail "$(cat seen)"
}

test_trace() {
    cc_program app -static <<<"$HELLO"
    ops run --trace=write ./app x
    want_status 42
    want_err 'write\('
}

# Calls of all CPUs are traced, not only of the one that boots.
test_trace_on_every_cpu() {
    cc_program app <<'END'
#define _GNU_SOURCE
#include <sched.h>
#include <unistd.h>
int main(void)
{
    for (int cpu = 0; cpu < 3; cpu++) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
        getppid();
    }
}
END
    ops run --smp 3 --trace=getppid ./app
    want_status 0
    [ "$(grep -c ' getppid() = 1$' "$T/err")" = 3 ] || fail "$(cat "$T/err")"
}

# Clouds end a machine by its power button: the program gets SIGTERM.
test_power_button() {
    cat >wait.py <<'END'
import signal, sys
def stop(number, frame):
    print("signal", number)
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while True:
    signal.pause()
END
    cat >qemu <<END
#!/bin/sh
exec qemu-system-x86_64 "\$@" -qmp unix:$T/qmp,server=on,wait=off
END
    chmod +x qemu
    printf '{"Files": ["%s"]}' "$T/wait.py" >files.json
    OPS_QEMU=$T/qemu timeout 60 "$OPS" run --machine q35 -c files.json /usr/bin/python3 "$T/wait.py" >out 2>err </dev/null &
    wait_for 40 grep -q ready out || fail "it does not start: $(said)"
    qmp system_powerdown
    wait $!
    STATUS=$?
    want_status 3
    want_out "$(printf 'ready\nsignal 15')"
}

e2e_main "$@"
