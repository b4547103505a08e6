#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Disks that boot anywhere: the formats of `ops build`, by BIOS and by UEFI, and what it writes
# beside them for clouds and hypervisors. Judged by qemu-img, sgdisk, fsck and by booting.
. "$(dirname "$0")/lib.sh"

FORMATS='raw qcow2 qcow2-compressed vmdk vhd vhdx vdi gcp ova iso containerdisk'

app() {
    cc_program app -static <<'END'
#include <stdio.h>
int main(int argc, char **argv) { printf("hello %d %s\n", argc, argv[argc - 1]); return 42; }
END
}

build() { # FILE [OPTION...]
    local file=$1
    shift
    ops build "$@" -o "$file" ./app x
    want_status 0
    want_no_err
    want_file "$file"
}

suffix() { # FORMAT
    case $1 in
    gcp) echo tar.gz ;;
    containerdisk) echo oci ;;
    *) echo "$1" ;;
    esac
}

# boots FILE QEMU-FORMAT [QEMU-OPTION...]
boots() {
    local file=$1 format=$2
    shift 2
    timeout $E2E_LIMIT qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none \
        -no-reboot -serial stdio -device isa-debug-exit -snapshot "$@" \
        -drive "file=$file,format=$format,if=virtio" >serial 2>err </dev/null
    STATUS=$?
    [ $STATUS = 33 ] || fail "$file: status $STATUS, not 33; serial line: $(tail -c 400 serial); $(said)"
    tr -d '\r' <serial >clean
    grep -qx 'hello 2 x' clean && grep -qx 'ops: exit status 42' clean || fail "$file: $(tail -c 400 clean)"
}

partition() { # DISK NUMBER: cuts it out into part
    local first last
    first=$(sgdisk -i "$2" "$1" | awk '/First sector/ {print $3}')
    last=$(sgdisk -i "$2" "$1" | awk '/Last sector/ {print $3}')
    dd if="$1" of=part bs=1M iflag=skip_bytes,count_bytes skip=$((first * 512)) count=$(((last - first + 1) * 512)) \
        conv=sparse status=none
}

# The table and every filesystem of a raw disk.
sound() { # DISK
    sgdisk -v "$1" >verify 2>&1
    grep -q 'No problems found' verify || fail "$1: $(cat verify)"
    local n
    for n in $(sgdisk -p "$1" | awk '$6 == "8300" {print $1}'); do
        partition "$1" $n
        e2fsck -fn part >fsck 2>&1 || fail "$1, partition $n: $(head -c 500 fsck)"
    done
}

efi_code() {
    ls /usr/share/OVMF/OVMF_CODE.fd /usr/share/OVMF/OVMF_CODE_4M.fd 2>/dev/null | head -1
}

test_efi_partition() {
    app
    build d.raw
    sound d.raw
    [ "$(sgdisk -p d.raw | awk '$1 ~ /^[0-9]+$/ {print $1, $6, $7}' | tr '\n' ' ')" = '1 EF02 ops-grub 2 EF00 ops-efi 3 8300 ops-boot 4 8300 ops-root 5 8301 ops-log ' ] ||
        fail "$(sgdisk -p d.raw)"
    partition d.raw 2
    fsck.fat -vn part >fsck 2>&1 || fail "fsck.fat: $(cat fsck)"
    grep -q '16 bit entries' fsck || fail "not FAT16: $(cat fsck)"
    [ "$(mdir -i part -b -/ :: 2>/dev/null | tail -1)" = ::/EFI/BOOT/BOOTX64.EFI ] || fail "$(mdir -i part -b -/ ::)"
    mcopy -i part ::/EFI/BOOT/BOOTX64.EFI efi
    [ "$(head -c 2 efi)" = MZ ] || fail "not a program of UEFI"
}

test_boots_by_bios_and_uefi() {
    app
    build d.raw
    boots d.raw raw
    code=$(efi_code)
    [ -n "$code" ] || fail "OVMF is not installed"
    for smp in ${FORMATS_SMP:-2}; do # of one CPU: test_iso, and `make check-long`
        boots d.raw raw -smp $smp -drive "if=pflash,format=raw,readonly=on,file=$code"
    done
}

test_by_suffix() {
    app
    for pair in qcow2:qcow2 vmdk:vmdk vhdx:vhdx vdi:vdi img:raw raw:raw disk:raw QCOW2:qcow2; do
        build "d.${pair%:*}"
        qemu-img info --output=json "d.${pair%:*}" >info || fail "qemu-img info: $pair"
        [ "$(python3 -c 'import json; print(json.load(open("info"))["format"])')" = "${pair#*:}" ] ||
            fail "$pair: $(cat info)"
    done
    build out --format qcow2
    [ "$(head -c 3 out)" = QFI ] || fail "--format is ignored"
    build d.qcow2 -f raw
    sound d.qcow2
}

test_structured_formats() {
    app
    build d.raw
    build small --format qcow2-compressed
    qemu-img check small >check 2>&1 && qemu-img compare -f raw -F qcow2 d.raw small >check 2>&1 || fail "$(cat check)"
    for format in qcow2 vmdk vhdx vdi; do
        build d.$format
        qemu-img check d.$format >check 2>&1 || fail "$format: $(cat check)"
        qemu-img compare -f raw -F $format d.raw d.$format >compare 2>&1 || fail "$format: $(cat compare)"
        boots d.$format $format
    done
    [ "$(stat -c %s small)" -lt $(($(stat -c %s d.qcow2) * 3 / 4)) ] || fail "not compressed: $(stat -c %s small d.qcow2)"
    boots small qcow2
    grep -aq 'createType="streamOptimized"' d.vmdk || fail "the vmdk is not streamOptimized"
    grep -aqE '^RW [0-9]+ SPARSE "d.vmdk"' d.vmdk || fail "the vmdk names another file: $(grep -a '^RW' d.vmdk)"
}

test_fixed_vhd() {
    app
    build d.raw
    build d.vhd
    qemu-img info -f vpc --output=json d.vhd >info || fail "qemu-img info"
    size=$(python3 -c 'import json; print(json.load(open("info"))["virtual-size"])')
    [ "$size" = "$(stat -c %s d.raw)" ] && [ $((size % 1048576)) = 0 ] || fail "virtual size $size"
    [ "$(stat -c %s d.vhd)" = $((size + 512)) ] || fail "it is not fixed"
    qemu-img compare -f raw -F vpc d.raw d.vhd >compare 2>&1 || fail "$(cat compare)"
    python3 - <<'END' || fail "the footer is wrong"
f = open("d.vhd", "rb").read()[-512:]
sum_ = int.from_bytes(f[64:68], "big")
c, h, s = int.from_bytes(f[56:58], "big"), f[58], f[59]
size = int.from_bytes(f[48:56], "big")
assert f[:8] == b"conectix" and f[60:64] == b"\0\0\0\2", f
assert ~sum(f[:64] + f[68:]) & 0xffffffff == sum_
assert 0 <= size // 512 - c * h * s < h * s, (c, h, s)
END
    boots d.vhd vpc
}

test_gcp_archive() {
    app
    build d.tar.gz
    (set -o pipefail && gzip -dc d.tar.gz | tar -xvvSf - >list) || fail "gzip or tar" # gzip compares its sum
    [ "$(awk '{print $NF, $3}' list)" = "disk.raw 1073741824" ] || fail "$(cat list)"
    sound disk.raw
    boots disk.raw raw
}

test_ova() {
    app
    printf '{"RunConfig": {"Memory": "512M", "CPUs": 2}}' >c.json
    build 'a&b.ova' -c c.json
    tar -tf 'a&b.ova' >list || fail "tar"
    [ "$(tr '\n' ' ' <list)" = 'a&b.ovf a&b.mf a&b-disk1.vmdk ' ] || fail "$(cat list)"
    tar -xf 'a&b.ova'
    while IFS='()' read -r kind file sum; do
        [ "$kind" = SHA256 ] && [ "= $(sha256sum <"$file" | cut -d' ' -f1)" = "$sum" ] || fail "$file: $sum"
    done <a\&b.mf
    [ "$(grep -c . a\&b.mf)" = 2 ] || fail "$(cat a\&b.mf)"
    python3 - <<'END' || fail "the descriptor is wrong"
import os, xml.etree.ElementTree as tree
o = "{http://schemas.dmtf.org/ovf/envelope/1}"
r = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
root = tree.parse("a&b.ovf").getroot()
f = root.find(f"{o}References/{o}File")
assert f.get(o + "href") == "a&b-disk1.vmdk"
assert int(f.get(o + "size")) == os.stat("a&b-disk1.vmdk").st_size
items = {i.find(r + "ResourceType").text: i for i in root.iter(o + "Item")}
assert items["3"].find(r + "VirtualQuantity").text == "2"
assert items["4"].find(r + "VirtualQuantity").text == "512"
disk = root.find(f"{o}DiskSection/{o}Disk")
assert items["17"].find(r + "HostResource").text == "ovf:/disk/" + disk.get(o + "diskId")
for i in root.iter(o + "Item"):
    names = [e.tag[len(r):] for e in i]
    assert names == sorted(names), names
open("capacity", "w").write(disk.get(o + "capacity"))
END
    qemu-img check 'a&b-disk1.vmdk' >check 2>&1 || fail "$(cat check)"
    qemu-img convert -f vmdk -O raw 'a&b-disk1.vmdk' raw
    [ "$(cat capacity)" = "$(stat -c %s raw)" ] || fail "capacity $(cat capacity)"
    boots 'a&b-disk1.vmdk' vmdk
}

# One file is a disk and a CD-ROM.
test_iso() {
    app
    build d.iso
    sound d.iso
    boots d.iso raw
    boots d.iso raw -drive "if=pflash,format=raw,readonly=on,file=$(efi_code)"
    command -v xorriso >/dev/null || skip "xorriso is not installed"
    xorriso -indev d.iso -report_el_torito plain -report_system_area plain >report 2>&1
    grep -qE '^El Torito boot img : +1 +BIOS +y +none +0x0000 +0x00 +4 ' report || fail "BIOS: $(cat report)"
    grep -qE '^El Torito boot img : +2 +UEFI +y +none +0x0000 +0x00 +8192 ' report || fail "UEFI: $(cat report)"
    grep -q '^El Torito img opts : *1 *boot-info-table' report || fail "its sum is wrong: $(cat report)"
    grep -q '^Media summary.* 16384 data blocks' report || grep -q '^Volume id *: .OPS' report || fail "$(cat report)"
    xorriso -osirrox on -indev d.iso -extract / tree >log 2>&1 || fail "$(tail -3 log)"
    [ "$(ls tree | tr '\n' ' ')" = 'BIOS.IMG BOOT.CAT EFI.IMG ' ] || fail "$(ls tree)"
    partition d.iso 2
    cmp part tree/EFI.IMG || fail "EFI.IMG is not the EFI system partition"
    ops image info d.iso
    want_out_has '^kind +disk$'
}

# In a CD drive: firmware, GRUB and the kernel find what they need on it.
test_iso_as_cd() {
    app
    build d.iso
    for firmware in '' "-drive if=pflash,format=raw,readonly=on,file=$(efi_code)"; do
        # shellcheck disable=SC2086
        timeout $E2E_LIMIT qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none \
            -no-reboot -serial stdio -device isa-debug-exit -cdrom d.iso $firmware >serial 2>err </dev/null
        STATUS=$?
        tr -d '\r' <serial >clean
        grep -qx 'hello 2 x' clean && [ $STATUS = 33 ] || fail "status $STATUS: $(tail -c 400 clean); $(said)"
    done
}

# What is written stays in memory, on a drive that cannot be written.
test_iso_root_is_in_memory() {
    cc_program app -static <<'END'
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
int main(void)
{
    int fd = open("/new", O_RDWR | O_CREAT | O_EXCL, 0644);
    if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) || access("/proc", F_OK))
        return errno;
    return 42;
}
END
    ops build -o d.iso ./app
    timeout $E2E_LIMIT qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot \
        -serial stdio -device isa-debug-exit -drive file=d.iso,format=raw,if=virtio,readonly=on >serial 2>err </dev/null
    grep -q 'exit status 42' serial || fail "$(tail -c 300 serial)"
}

test_containerdisk() {
    app
    build d.raw
    build d.oci
    skopeo inspect oci-archive:d.oci >info || fail "skopeo inspect"
    grep -q '"Architecture": "amd64"' info || fail "$(cat info)"
    mkdir layout && tar -xf d.oci -C layout
    umoci unpack --rootless --image layout:latest bundle >log 2>&1 || fail "$(tail -3 log)"
    [ "$(cd bundle/rootfs && find . | sort | tr '\n' ' ')" = '. ./disk ./disk/disk.qcow2 ' ] || fail "$(find bundle/rootfs)"
    qemu-img compare -f raw -F qcow2 d.raw bundle/rootfs/disk/disk.qcow2 >log 2>&1 || fail "$(cat log)"
    python3 - <<'END' || fail "the archive is wrong"
import hashlib, json, tarfile
outer = tarfile.open("d.oci")
def blob(d):
    data = outer.extractfile("blobs/" + d["digest"].replace(":", "/")).read()
    assert len(data) == d["size"] and "sha256:" + hashlib.sha256(data).hexdigest() == d["digest"]
    return data
manifest = json.loads(blob(json.load(outer.extractfile("index.json"))["manifests"][0]))
config = json.loads(blob(manifest["config"]))
assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
blob(manifest["layers"][0])
END
    tar -xOf d.oci "blobs/sha256/$(tar -tf d.oci | xargs -n1 | while read -r f; do case $f in blobs/*) echo "$(tar -xOf d.oci "$f" | wc -c) ${f##*/}" ;; esac; done | sort -n | tail -1 | cut -d' ' -f2)" |
        tar --numeric-owner -tvf - >list
    [ "$(awk '{print $1, $2, $NF}' list | tr '\n' ' ')" = 'drwxr-xr-x 107/107 disk/ -rw-r--r-- 107/107 disk/disk.qcow2 ' ] || fail "$(cat list)"
}

test_flat_vmdk() {
    app
    build d.raw
    build d.vmdk -f vmdk-flat
    cmp d.raw d-flat.vmdk || fail "the flat file is not the disk"
    qemu-img info --output=json d.vmdk | grep -q '"create-type": "monolithicFlat"' || fail "$(cat d.vmdk)"
    qemu-img compare -f raw -F vmdk d.raw d.vmdk >log 2>&1 || fail "$(cat log)"
    boots d.vmdk vmdk
}

# A kernel that is started without firmware, as other virtual machines do it.
test_direct() {
    app
    build dir -f direct
    [ "$(ls dir | tr '\n' ' ')" = 'kernel.elf manifest root.ext4 ' ] || fail "$(ls dir)"
    e2fsck -fn dir/root.ext4 >log 2>&1 || fail "$(cat log)"
    for machine in microvm,acpi=off q35; do
        device=virtio-blk-device
        [ $machine = q35 ] && device=virtio-blk-pci
        timeout $E2E_LIMIT qemu-system-x86_64 -M $machine -accel tcg -cpu max -m 256 -nodefaults -display none \
            -no-reboot -serial stdio -device isa-debug-exit -global virtio-mmio.force-legacy=false -kernel dir/kernel.elf -initrd dir/manifest \
            -snapshot -drive if=none,id=root,file=dir/root.ext4,format=raw -device $device,drive=root >serial 2>err </dev/null
        grep -q 'hello 2 x' serial && grep -q 'exit status 42' serial || fail "$machine: $(tail -c 300 serial); $(said)"
    done
    build dir.tar -f direct
    mkdir out.d && tar -xf dir.tar -C out.d
    for f in kernel.elf manifest root.ext4; do
        cmp dir/$f out.d/$f || fail "$f differs"
    done
    mkdir two && build two/dir -f direct
    diff -r dir two/dir || fail "two builds differ"
    : >file
    ops build -f direct -o file ./app
    want_error 1 'file: it exists and is not a directory' 'ends in .tar'
}

test_equal_inputs_give_equal_bytes() {
    app
    mkdir two
    for format in $FORMATS; do
        build d.$(suffix $format) -f $format
    done
    sleep 1.1 # clocks of seconds must not show
    for format in $FORMATS; do
        file=d.$(suffix $format)
        (umask 077 && TZ=Asia/Tokyo LC_ALL=C build two/$file -f $format)
        cmp $file two/$file || fail "two builds of $format differ"
    done
    ops build -o two/other.vdi ./app y
    want_status 0
    cmp -s -n 512 d.vdi two/other.vdi && fail "another disk has the same identifiers"
    true
}

test_unknown_format() {
    app
    ops build --format vmdx -o d ./app
    want_error 2 'there is no format vmdx$' 'did you mean vmdk\? There are raw, qcow2, qcow2-compressed, vmdk, vhd, vhdx, vdi, gcp, ova, vmdk-flat, iso, containerdisk, direct$'
    ops build --format tape -o d ./app
    want_error 2 'there is no format tape$' 'there are raw, qcow2'
    want_no_file d
}

# A PATH with all but qemu-img.
test_without_qemu_img() {
    app
    mkdir bin
    ln -s "$(command -v grub-mkimage)" bin/
    for format in qcow2 ova containerdisk; do
        PATH=$T/bin "$OPS" build ./app --format $format -o d.$format >out 2>err </dev/null
        STATUS=$?
        want_error 1 "cannot find qemu-img, which makes disks of the format $format\$" 'install it: apt install qemu-utils$'
    done
    for format in raw vhd gcp iso vmdk-flat direct; do
        PATH=$T/bin "$OPS" build -f $format -o d.$format ./app >out 2>err </dev/null || fail "$format: $(said)"
    done
    [ "$(ls -A | grep -c unfinished)" = 0 ] || fail "left: $(ls -A)"
}

# In a filesystem of its own, which is too small for the disk.
test_full_disk() {
    app
    mkdir small
    unshare -m true 2>/dev/null || skip "no mount namespaces here"
    for format in $FORMATS; do
        size=300k
        case $format in gcp | ova) ;; *) size=900k ;; esac
        unshare -m bash -c "mount -t tmpfs -o size=$size none small && '$OPS' build -f $format -o small/d ./app >out 2>err </dev/null
            echo \$? >status; ls -A small >left"
        STATUS=$(cat status)
        want_error 1 'cannot write (small/d|the image for /[^ ]*): no space left on device$' 'free some space'
        [ ! -s left ] || fail "$format left: $(cat left)"
    done
}

test_killed_leaves_nothing() {
    app
    echo old >d.vmdk
    mkdir slow
    # a qemu-img that says when it runs, and then never ends
    printf '#!/bin/sh\n: >%s/runs\nexec sleep 30\n' "$T" >slow/qemu-img
    chmod +x slow/qemu-img
    for signal in TERM HUP KILL; do
        rm -f runs
        PATH=$T/slow:$PATH "$OPS" build ./app -o d.vmdk >/dev/null 2>&1 </dev/null &
        wait_for 30 test -e runs || fail "qemu-img was not started"
        kill -$signal $!
        wait $! 2>/dev/null
        [ "$(cat d.vmdk)" = old ] || fail "the old disk is gone"
        [ $signal = KILL ] || [ "$(ls -A | tr '\n' ' ')" = 'app d.vmdk runs slow ' ] || fail "$signal left: $(ls -A)"
    done
    # qemu-img ends with the killed ops, a moment later; until then it holds the lock.
    [ ! -e .d.vmdk.ops-unfinished ] || flock -w 10 .d.vmdk.ops-unfinished true || fail "qemu-img lives on"
    build d.vmdk
    [ "$(ls -A | tr '\n' ' ')" = 'app d.vmdk err out runs slow ' ] || fail "left: $(ls -A)"
}

e2e_main "$@"
