#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One program, nginx's package, on every machine that an image is for: the same request gets the
# same answer with 1 and 2 CPUs, and the power button ends it.
. "$(dirname "$0")/lib.sh"

# build [OPTION...] FILE: nginx as a disk; what was fetched stays in $O/packages.
build() {
    (
        export XDG_DATA_HOME=$O/packages/data XDG_CACHE_HOME=$O/packages/cache
        mkdir -p "$XDG_DATA_HOME" "$XDG_CACHE_HOME"
        E2E_LIMIT=120
        ops pkg get nginx
        want_status 0
        ops build "${@:1:$#-1}" -o "${!#}" pkg:nginx
        want_status 0
        cp "$(find "$XDG_DATA_HOME"/ops/packages/nginx_*/ -name 'index*.html' | head -n 1)" "$T/page"
    ) || exit 1
    [ -s page ] || fail "the package has no page"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

answered() { curl -sf --max-time 5 -o answer "http://127.0.0.1:$PORT/"; }

ended() { ! kill -0 "$MACHINE" 2>/dev/null; }

# serves CARD QEMU-OPTION...: boots, asks, and ends it, with 1 CPU and with 2. CARD is its network card.
serves() {
    local card=$1 smp
    shift
    for smp in 1 2; do
        PORT=$(free_port)
        rm -f qmp answer
        timeout -k 5 90 qemu-system-x86_64 -accel tcg -cpu max,-erms -m 256 -smp $smp -nodefaults -no-user-config \
            -display none -no-reboot -serial file:serial -qmp "unix:qmp,server=on,wait=off" -snapshot \
            -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$PORT-:80" -device "$card,netdev=net" "$@" >qemu-out 2>&1 </dev/null &
        MACHINE=$!
        wait_for 60 eval 'ended || answered' && ! ended ||
            fail "$smp CPUs: no answer; the machine says: $(tail -c 400 serial | tr -d '\r') $(tail -n 3 qemu-out)"
        cmp answer page || fail "$smp CPUs: another answer: $(head -c 200 answer)"
        if [ -z "${NO_BUTTON-}" ]; then
            # nginx looks at its signals' flags, then waits: one that comes between the two is seen with the next.
            qmp system_powerdown
            wait_for 15 ended || qmp system_powerdown
            wait_for 30 ended || fail "$smp CPUs: the power button does not end it"
            grep -q '^ops: exit status 0' <(tr -d '\r' <serial) || fail "$smp CPUs: its end: $(tail -c 300 serial)"
        fi
        kill $MACHINE 2>/dev/null
        wait $MACHINE 2>/dev/null
    done
}

efi_code() {
    ls /usr/share/OVMF/OVMF_CODE.fd /usr/share/OVMF/OVMF_CODE_4M.fd 2>/dev/null | head -n 1
}

firmware() { # OPTIONS for UEFI
    local code
    code=$(efi_code)
    [ -n "$code" ] || fail "OVMF is not installed"
    echo "-drive if=pflash,format=raw,readonly=on,file=$code"
}

direct() { # MACHINE BUS
    build --format direct d
    serves virtio-net-$2 -M "$1" -global virtio-mmio.force-legacy=false -kernel d/kernel.elf -initrd d/manifest \
        -drive id=root,if=none,format=raw,file=d/root.ext4 -device virtio-blk-$2,drive=root
}

test_microvm_pvh() { NO_BUTTON=1 direct microvm,acpi=off device; }
test_q35_pvh() { direct q35 pci; }

test_pc_bios() {
    build d.raw
    serves virtio-net-pci -M pc -drive if=virtio,format=raw,file=d.raw
}

test_q35_uefi() {
    build d.raw
    serves virtio-net-pci -M q35 $(firmware) -drive if=virtio,format=raw,file=d.raw
}

test_nvme() {
    build d.raw
    serves virtio-net-pci -M q35 -drive id=d,if=none,format=raw,file=d.raw -device nvme,drive=d,serial=1
}

# As VMware has them: a SATA disk and Intel's card.
test_ahci() {
    build d.raw
    serves e1000e -M q35 -drive id=d,if=none,format=raw,file=d.raw -device ide-hd,drive=d,bus=ide.0
}

test_virtio_scsi() {
    build d.raw
    serves virtio-net-pci -M q35 -drive id=d,if=none,format=raw,file=d.raw -device virtio-scsi-pci -device scsi-hd,drive=d
}

attached() { # SUFFIX QEMU-FORMAT
    build d.$1
    serves virtio-net-pci -M q35 -drive "if=virtio,format=$2,file=d.$1"
}

test_qcow2() { attached qcow2 qcow2; }
test_vmdk() { attached vmdk vmdk; }
test_vhd() { attached vhd vpc; }
test_vhdx() { attached vhdx vhdx; }
test_vdi() { attached vdi vdi; }

test_gcp() {
    build d.tar.gz
    tar -xSzf d.tar.gz
    serves virtio-net-pci -M q35 -drive id=d,if=none,format=raw,file=disk.raw -device virtio-scsi-pci -device scsi-hd,drive=d
}

test_iso_bios() {
    build d.iso
    serves virtio-net-pci -M q35 -drive id=d,if=none,format=raw,media=cdrom,file=d.iso -device ide-cd,drive=d,bus=ide.0
}

test_iso_uefi() {
    build d.iso
    serves virtio-net-pci -M q35 $(firmware) -drive id=d,if=none,format=raw,media=cdrom,file=d.iso -device ide-cd,drive=d,bus=ide.0
}

# The CD-ROM of an old machine, which the kernel need not know.
test_iso_ide() {
    build d.iso
    serves e1000 -M pc -cdrom d.iso
}

e2e_main "$@"
