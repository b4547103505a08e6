#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who QEMU is and what it may, as the host's kernel says it in /proc.
# Alone: the users of machines are those of the whole host.
. "$(dirname "$0")/lib.sh"

prepare() {
    export XDG_RUNTIME_DIR=$T/run
    RUN=$T/run/ops
    mkdir -p run
    chmod 700 "$T" # nobody else gets to anything in it
    cc_program app -static <<'C'
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    char c;
    int fd = 1;
    puts("ready");
    fflush(stdout);
    while (read(0, &c, 1) > 0)
        write(fd, &c, 1);
    return 7;
}
C
}

root_only() {
    [ "$(id -u)" = 0 ] || skip "only root can give QEMU another user"
}

# machine_start NAME [OPTION...]: runs ./app, which ends when descriptor 8 is closed.
machine_start() {
    local name=$1
    shift
    mkfifo input.$name
    timeout -k 5 $E2E_LIMIT "$OPS" run --name "$name" "$@" ./app <input.$name >out.$name 2>err.$name &
    MACHINE=$!
    exec 8>input.$name
    wait_for 30 grep -q ready out.$name || fail "no start: $(cat err.$name)"
    QEMU=$(cat "$RUN/$name/pid")
}

machine_end() {
    exec 8>&-
    wait $MACHINE
    STATUS=$?
    [ $STATUS = 7 ] || fail "status $STATUS: $(cat err.*)"
}

field() { awk -v name="$1:" '$1 == name {print $2}' "/proc/$QEMU/status"; }
limit_of() { awk -v n="$1" 'index($0, n) == 1 {print $(NF - 1)}' "/proc/$QEMU/limits"; }

want_field() { # NAME VALUE
    [ "$(field "$1")" = "$2" ] || fail "$1 of QEMU is $(field "$1"), not $2"
}

want_limits() { # THREADS
    [ "$(limit_of 'Max core file size')" = 0 ] || fail "QEMU may dump its core"
    [ "$(limit_of 'Max open files')" -le 8192 ] || fail "QEMU may open $(limit_of 'Max open files') files"
    [ "$(limit_of 'Max data size')" = $(((64 + 2048 + 2 * 32) << 20)) ] || fail "memory: $(limit_of 'Max data size')"
    [ "$(limit_of 'Max address space')" = $(((64 + 2048 + 2 * 32 + 14336) << 20)) ] || fail "space: $(limit_of 'Max address space')"
    want_field NoNewPrivs 1
    want_field Seccomp 2
}

# Can QEMU itself open the file? Its monitor is asked, as somebody who has taken QEMU over could ask.
qemu_opens() { # NAME FILE
    python3 - "$RUN/$1/qmp.sock" "$2" <<'END'
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile("rw")
def ask(command, **arguments):
    f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    f.flush()
    while True:
        answer = json.loads(f.readline())
        if "event" not in answer:
            return answer
f.readline()
ask("qmp_capabilities")
answer = ask("blockdev-add", **{"driver": "file", "node-name": "look", "filename": sys.argv[2], "read-only": True})
print(answer)
sys.exit("return" not in answer)
END
}

test_own_user() {
    root_only
    prepare
    echo secret >private && chmod 600 private
    echo open >/var/tmp/ops-e2e-open.$$ && chmod 644 /var/tmp/ops-e2e-open.$$
    trap 'rm -f /var/tmp/ops-e2e-open.$$' EXIT
    # All that it needs is root's alone.
    cp "$O/kernel.elf" k.elf && chmod 600 k.elf
    ops volume create data -s 16M
    ops volume create seen -s 16M
    chmod 600 "$XDG_DATA_HOME"/ops/volumes/*
    machine_start m --kernel k.elf --memory 64M --smp 2 --core core.m --mounts data:/data --mounts seen:/seen:ro
    user=$(field Uid)
    [ "$user" -ge 60800 ] && [ "$user" -le 61183 ] || fail "QEMU is user $user"
    [ "$(awk '$1 == "Uid:" || $1 == "Gid:" {print $2, $3, $4, $5}' "/proc/$QEMU/status" | tr -s ' \n' '\n' | sort -u)" = "$user" ] ||
        fail "not all of its users and groups are $user"
    [ -z "$(awk '$1 == "Groups:" {print $2}' "/proc/$QEMU/status")" ] || fail "it is in other groups"
    for set in CapInh CapPrm CapEff CapBnd CapAmb; do want_field $set 0000000000000000; done
    want_limits
    [ "$(limit_of 'Max processes')" = 130 ] || fail "threads: $(limit_of 'Max processes')"
    [ "$(stat -c '%a %u' "$RUN/m" "$RUN/m/qmp.sock" "$RUN/m/guest.sock" | tr '\n' ' ')" = '700 0 600 0 600 0 ' ] ||
        fail "the machine's directory: $(ls -la "$RUN/m")"
    answer=$(qemu_opens m "$T/private") && fail "QEMU opens root's file"
    [[ $answer = *'Permission denied'* ]] || fail "QEMU does not open root's file: $answer"
    qemu_opens m /var/tmp/ops-e2e-open.$$ >/dev/null || fail "QEMU does not open everybody's file"
    # Another machine has another user, and the first one's is free again afterwards.
    exec 9>&8
    first=$MACHINE
    machine_start other
    [ "$(field Uid)" != "$user" ] || fail "two machines have the same user"
    ops volume attach data other
    want_error 1 'is in use by a running machine'
    machine_end
    exec 9>&-
    MACHINE=$first
    machine_end
    machine_start again
    want_field Uid "$user"
    machine_end
}

# What comes while the machine runs comes open.
test_volume_that_comes() {
    root_only
    prepare
    machine_start m
    ops volume create late -s 16M
    chmod 600 "$XDG_DATA_HOME"/ops/volumes/late.ext4
    ops volume attach late m
    want_status 0
    ops volume detach late m
    want_status 0
    machine_end
}

test_debug_and_core() {
    root_only
    prepare
    cc_program crash -static <<<'int main(void) { *(volatile int *)8 = 1; }'
    ops run --core core.x ./crash
    want_error 139 'SIGSEGV'
    [ "$(head -c 4 core.x)" = $'\x7fELF' ] || fail "no core: $(ls -la core.x)"
    mkfifo input
    timeout -k 5 $E2E_LIMIT "$OPS" run --debug --name d ./app <input >out 2>err &
    exec 8>input
    wait_for 30 grep -q 'target remote' err || fail "no start: $(cat err)"
    socket=$(grep -oE '/[^ ]*/gdb' err | head -1)
    wait_for 30 test -S "$socket" || fail "no socket $socket"
    wait_for 30 test -s "$RUN/d/pid" || fail "no QEMU"
    QEMU=$(cat "$RUN/d/pid")
    [ "$(field Uid)" -ge 60800 ] || fail "QEMU is user $(field Uid)"
    [ "$(stat -c %a "$socket")" = 600 ] || fail "the socket is open to others"
    gdb -q -batch -ex "target remote $socket" -ex 'info registers rip' -ex kill >gdb 2>&1 </dev/null
    grep -q '^rip' gdb || fail "gdb: $(cat gdb)"
    exec 8>&-
    wait
}

# A port below 1024 costs one capability, and no more.
test_low_port() {
    root_only
    prepare
    [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 917 ] || skip "everybody may bind that port"
    machine_start m -p 127.0.0.77:917:80
    want_field CapEff 0000000000000400
    want_field CapBnd 0000000000000400
    [ "$(field Uid)" -ge 60800 ] || fail "QEMU is user $(field Uid)"
    machine_end
    ops run --explain -p 917 /bin/true
    want_out_has '^user .*one of its own.*; capabilities: NET_BIND_SERVICE, and it can gain none$'
}

# Shared directories are read and written with the rights of who runs ops.
test_share_keeps_the_user() {
    root_only
    prepare
    mkdir shared
    machine_start m --memory 64M --smp 2 --share shared:/s
    want_field Uid 0
    want_field CapEff 000000000800001f
    want_field CapBnd 000000000800001f
    want_limits
    machine_end
    ops run --explain --share shared:/s /bin/true
    want_out_has '^user .*user 0 of this host, as it reads and writes shared directories; capabilities: CHOWN, '
    want_out_has '^limits .* MiB of memory, [0-9]+ files, no core dump$'
}

test_other_reasons() {
    root_only
    prepare
    printf '#!/bin/sh\nexec qemu-system-x86_64 "$@"\n' >qemu && chmod 755 qemu
    OPS_QEMU=$T/qemu ops run --explain /bin/true
    want_out_has '^user .*user 0 of this host, as what is run for QEMU is a script, with the capabilities of ops$'
    cp "$(command -v qemu-system-x86_64)" own-qemu && chmod 700 own-qemu
    OPS_QEMU=$T/own-qemu ops run --explain /bin/true
    want_out_has '^user .*user 0 of this host, as not everybody may run this QEMU; no capabilities'
    export OPS_QEMU=$T/qemu
    machine_start m
    want_field Uid 0
    want_field CapEff "$(awk '$1 == "CapEff:" {print $2}' /proc/self/status)"
    want_field NoNewPrivs 1
    machine_end
    unset OPS_QEMU
    unshare -r true 2>/dev/null || return 0
    unshare -r "$OPS" run --explain /bin/true >out 2>err
    want_out_has '^user .*user 0 of this host, as this root cannot give it another; no capabilities'
}

# Somebody who is not root: no rights to lose, the same limits.
test_no_root() {
    prepare
    if [ "$(id -u)" = 0 ]; then
        command -v setpriv >/dev/null || skip "no setpriv"
        place=$(mktemp -d /var/tmp/ops-e2e-user.XXXXXX)
        trap 'rm -rf "$place"' EXIT
        cp "$OPS" "$O/kernel.elf" app "$place" && mkdir "$place/run" && chmod 700 "$place/run" && cd "$place" || exit 1
        export XDG_RUNTIME_DIR=$place/run HOME=$place XDG_CACHE_HOME=$place/cache XDG_DATA_HOME=$place/data XDG_STATE_HOME=$place/state
        export XDG_CONFIG_HOME=$place/config OPS_DEFAULT_CONFIG=$place/opsrc
        printf '#!/bin/sh\nexec setpriv --reuid 65533 --regid 65533 --clear-groups %s/ops "$@"\n' "$place" >as-user && chmod 755 as-user
        OPS=$place/as-user RUN=$place/run/ops
        echo '{}' >opsrc && chown -R 65533:65533 "$place"
    fi
    machine_start m --memory 64M --smp 2
    want_field Uid "$(stat -c %u app)"
    want_field CapEff 0000000000000000
    want_limits
    machine_end
    timeout 20 "$OPS" run --explain ./app >"$T/out" 2>"$T/err"
    want_out_has '^user .*, as only root can give it another; no capabilities'
}

e2e_main "$@"
