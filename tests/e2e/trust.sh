#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Disks that were changed on the way: signatures, digests, damage before and at the boot, Secure Boot.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=120

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
}

# boot FILE [QEMU-OPTION...]: its serial line in clean, QEMU's status in STATUS
boot() {
    local file=$1
    shift
    timeout $E2E_LIMIT qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot \
        -serial stdio -device isa-debug-exit -snapshot -drive "file=$file,format=raw,if=virtio" "$@" >serial 2>err </dev/null
    STATUS=$?
    tr -d '\r' <serial >clean
}

start() { # DISK PARTITION: where it begins, in bytes
    echo $(($(sgdisk -i "$2" "$1" | awk '/First sector/ {print $3}') * 512))
}

flip() { # FILE OFFSET: changes one bit
    python3 - "$1" "$2" <<'END'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    byte = f.read(1)[0]
    f.seek(int(sys.argv[2]))
    f.write(bytes([byte ^ 4]))
END
}

# packed DISK N: a place in the Nth packed file of the boot partition (kernel, manifest)
packed() {
    python3 - "$1" "$2" "$(start "$1" 3)" <<'END'
import sys
d = open(sys.argv[1], "rb").read()
at = int(sys.argv[3])
for _ in range(int(sys.argv[2])):
    at = d.index(b"\x1f\x8b\x08\0\0\0\0\0", at + 1)
print(at + (60 if int(sys.argv[2]) == 2 else 100000))
END
}

test_signature() {
    app
    ops pkg repo key key
    public=$(cat out)
    build d.qcow2 --sign key
    want_file d.qcow2.minisig
    minisign -Vm d.qcow2 -P "$public" >log 2>&1 || fail "minisign: $(cat log)"
    grep -q "file:d.qcow2 format:qcow2 sha256:$(sha256sum <d.qcow2 | cut -d' ' -f1)" log || fail "$(cat log)"
    ops image verify d.qcow2 --key "$public"
    want_status 0
    want_out_has '^signature +good$'
    echo "$public" >public
    ops image verify d.qcow2 --key public
    want_status 0
    ops image verify d.qcow2
    want_error 1 'd.qcow2 is no raw disk' 'give --key'
    flip d.qcow2 70000
    ops image verify d.qcow2 --key "$public"
    want_error 1 'the signature of d.qcow2 is wrong' 'do not use it'
    ops pkg repo key other
    build d.raw --sign other
    ops image verify d.raw
    want_status 0
    want_out_has '^signature +not checked: give --key$'
    ops image verify d.raw --key "$public"
    want_error 1 'd.raw is signed with another key'
    rm d.raw.minisig
    ops image verify d.raw --key "$public"
    want_error 1 'cannot open d.raw.minisig'
    ops build ./app -o behind.raw --sign key
    want_status 0
    ops image verify behind.raw --key public
    want_status 0
    ops build --sign key -f direct -o dir ./app
    want_error 2 'direct is more than one file'
    ops build --sign nosuch -o d ./app
    want_error 1 'cannot open nosuch'
    want_no_file d
}

test_signatures_of_minisign() {
    app
    build d.raw
    minisign -G -W -p pub -s sec >log 2>&1 </dev/null || fail "$(cat log)"
    minisign -Sm d.raw -s sec >log 2>&1 </dev/null || fail "$(cat log)"
    ops image verify d.raw --key pub
    want_status 0
    ops build -o e.raw --sign sec ./app
    want_status 0
    minisign -Vm e.raw -p pub >log 2>&1 || fail "$(cat log)"
}

damage() { # WHAT OFFSET: a bit of d.raw
    cp d.raw bad.raw
    flip bad.raw "$2"
    ops image verify bad.raw
    want_error 1 "$1"
}

# Each kind of damage has its sentence.
test_verify() {
    app
    build d.raw
    ops image verify d.raw
    want_status 0
    want_no_err
    want_out $'partitions   sound\nkernel       as built\nmanifest     as built\nloader       as built\nroot         as built'
    size=$(stat -c %s d.raw)
    damage 'bad.raw: the first partition table is damaged' 540
    damage 'bad.raw: the first partition table is damaged' 1424
    damage 'bad.raw: the second partition table is damaged' $((size - 500))
    damage 'bad.raw: its loader is not as it was built' $(((1 << 20) + 5000))
    damage 'bad.raw: its loader is not as it was built' $((3 << 20))
    damage 'kernel.elf of the boot partition is damaged' "$(packed d.raw 1)"
    damage 'manifest of the boot partition is damaged' "$(packed d.raw 2)"
    damage 'its root is not as it was built: a machine' $(($(start d.raw 4) + 70000))
    damage 'its root is not as it was built: a machine' $(($(start d.raw 4) + 1028))
    head -c $((size - 20480)) d.raw >cut.raw
    ops image verify cut.raw
    want_error 1 "it has $((size - 20480)) bytes, not $size"
    flip cut.raw 540
    ops image verify cut.raw
    want_error 1 'both partition tables are damaged'
    ops image env d.raw A=1
    ops image verify d.raw
    want_status 0
    echo new >new && ops image cp new d.raw:/
    ops image verify d.raw
    want_error 1 'its root is not as it was built: a machine or .ops image. has written to it'
    head -c 100000 /dev/urandom >noise
    ops image verify noise
    want_error 1 'noise is no raw disk'
}

refused() { # SENTENCE OFFSET: with this bit of d.raw changed the machine says it, and goes off
    cp d.raw bad.raw
    flip bad.raw "$2"
    boot bad.raw
    [ $STATUS != 124 ] || fail "it hangs at $2: $(tail -c 300 clean)"
    grep -q "$1" clean || fail "nothing says '$1': $(tail -c 400 clean)"
    ! grep -q hello clean || fail "it ran with a flip at $2"
}

right() { # OFFSET: the program runs all the same
    cp d.raw bad.raw
    flip bad.raw "$1"
    boot bad.raw
    grep -qx 'hello 2 x' clean && [ $STATUS = 33 ] || fail "status $STATUS: $(tail -c 400 clean)"
}

# What SPDX 2.3 requires, as far as it can be said of JSON without its schema.
spdx() { # FILE
    python3 - "$1" <<'END' || fail "$1 is not as SPDX wants it"
import hashlib, json, re, sys
d = json.load(open(sys.argv[1]))
assert d["spdxVersion"] == "SPDX-2.3" and d["dataLicense"] == "CC0-1.0" and d["SPDXID"] == "SPDXRef-DOCUMENT"
assert d["name"] and re.match(r"[a-z]+:[^#\s]+$", d["documentNamespace"])
assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", d["creationInfo"]["created"])
assert all(re.match(r"(Tool|Person|Organization): ?\S", c) for c in d["creationInfo"]["creators"])
ids = [x["SPDXID"] for x in d["packages"] + d["files"]]
assert len(set(ids)) == len(ids) and all(re.match(r"SPDXRef-[A-Za-z0-9.-]+$", i) for i in ids)
for p in d["packages"]:
    assert p["name"] and p["downloadLocation"] and p["filesAnalyzed"] in (True, False)
    for r in p.get("externalRefs", []):
        assert r["referenceCategory"] == "PACKAGE-MANAGER" and re.match(r"pkg:deb/[a-z]+/\S+@\S+$", r["referenceLocator"])
sums = []
for f in d["files"]:
    c = {x["algorithm"]: x["checksumValue"] for x in f["checksums"]}
    assert f["fileName"].startswith("./") and re.match("[0-9a-f]{40}$", c["SHA1"]) and re.match("[0-9a-f]{64}$", c["SHA256"])
    sums.append(c["SHA1"])
code = d["packages"][0]["packageVerificationCode"]["packageVerificationCodeValue"]
assert code == hashlib.sha1("".join(sorted(sums)).encode()).hexdigest()
for r in d["relationships"]:
    assert r["relationshipType"] in ("DESCRIBES", "CONTAINS", "DEPENDS_ON", "GENERATED_FROM")
    for end in ("spdxElementId", "relatedSpdxElement"):
        assert r[end] in ids + ["SPDXRef-DOCUMENT"], r
assert {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": ids[0]} in d["relationships"]
END
}

test_sbom() {
    ops build /usr/bin/lua5.4 -o d.raw
    ops build --sbom one.json -o d.raw /usr/bin/lua5.4
    want_status 0
    spdx one.json
    sleep 1.1
    ops build --sbom two.json -o d.raw /usr/bin/lua5.4
    cmp one.json two.json || fail "two lists differ"
    ops image info d.raw --sbom three.json
    want_status 0
    spdx three.json
    python3 - <<'END' || fail "the list is wrong"
import hashlib, json
one, three = (json.load(open(n + ".json")) for n in ("one", "three"))
def files(d):
    return {f["fileName"]: {c["algorithm"]: c["checksumValue"] for c in f["checksums"]} for f in d["files"]}
assert files(one) == files(three), "of the plan and of the disk"
lua = open("/usr/bin/lua5.4", "rb").read()
assert files(one)["./usr/bin/lua5.4"] == {"SHA1": hashlib.sha1(lua).hexdigest(), "SHA256": hashlib.sha256(lua).hexdigest()}
import shutil, subprocess
if shutil.which("dpkg-query"):
    version = subprocess.check_output(["dpkg-query", "-W", "-f=${Version}", "lua5.4"], text=True)
    for d in (one, three):
        found = [p for p in d["packages"] if p["name"] == "lua5.4"]
        assert found and found[0]["versionInfo"] == version, d["packages"]
        assert any(p["name"] == "libc6" for p in d["packages"])
END
    SOURCE_DATE_EPOCH=86400 "$OPS" build --sbom four.json -o d.raw /usr/bin/lua5.4
    grep -q '1970-01-02T00:00:00Z' four.json || fail "SOURCE_DATE_EPOCH is not heard"
    mkdir bin && ln -s "$(command -v grub-mkimage)" bin/
    PATH=$T/bin "$OPS" build --sbom five.json -o d.raw /usr/bin/lua5.4 || fail "without dpkg"
    spdx five.json
    ! grep -q pkg:deb five.json || fail "packages without dpkg"
}

test_sbom_of_a_package() {
    mkdir -p p/sysroot/bin
    app
    cp app p/sysroot/bin/app
    echo '{"Program": "/bin/app", "Version": "1"}' >p/package.manifest
    echo '{"Packages": [{"Name": "libx+", "Version": "1:2~3+b1", "SHA256": "'"$(sha256sum <app | cut -d' ' -f1)"'"}]}' >p/package.origin
    ops pkg add p --name p
    ops build --sbom s.json -o d.raw pkg:p
    want_status 0
    spdx s.json
    grep -q '"pkg:deb/.*/libx%2B@1%3A2~3%2Bb1"' s.json || skip "the store keeps no package.origin of a package that is added"
}

test_info_and_treemap() {
    ops build -o d.raw /usr/bin/lua5.4
    ops image info d.raw --json --treemap map.svg
    want_status 0
    "$E2E_TREE/tests/schema/check" "$E2E_TREE/tests/schema/image-info.json" <out || fail "not as the schema says"
    python3 - "$O/kernel.elf" <<'END' || fail "the figures are wrong"
import hashlib, json, sys
import xml.etree.ElementTree as x
o = json.load(open("out"))
assert o["kernelSHA"] == hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()
d = {i["path"]: i for i in o["directories"]}
sizes = [i["sizeBytes"] for i in o["directories"]]
assert sizes == sorted(sizes, reverse=True) and len(d) == len(sizes)
assert d["/usr"]["sizeBytes"] >= d["/usr/bin"]["sizeBytes"] > 100000 and d["/usr/bin"]["files"] >= 1
# every rectangle lies within the picture; areas are as the sizes
svg = x.parse("map.svg").getroot()
s = "{http://www.w3.org/2000/svg}"
rects = [(g.find(s + "title").text, g.find(s + "rect").attrib) for g in svg.iter(s + "g")]
for title, r in rects:
    a, b, w, h = (float(r[k]) for k in ("x", "y", "width", "height"))
    assert a >= -0.2 and b >= 39.8 and a + w <= 1200.2 and b + h <= 800.2 and w >= 0 and h >= 0, (title, r)
top = {t.split(":")[0]: float(r["width"]) * float(r["height"]) for t, r in rects if t.count("/") == 1}
area = sum(top.values())
assert abs(area - 1200 * 760) < 1200 * 760 * 0.01, area
assert any(t.startswith("/usr/bin/lua5.4: ") for t, _ in rects)
END
    ops image info d.raw --treemap two.svg
    want_out_has '^directories +[0-9.]+ [KM]iB  /usr$'
    cmp map.svg two.svg || fail "two pictures differ"
}

test_boot_of_damaged_disks() {
    app
    build d.raw
    root=$(start d.raw 4)
    right 540  # the first header: the second is as good
    right 1448 # an entry of the first table
    refused 'error: disk .hd0,gpt3. not found' 512
    refused 'error: disk .hd0,gpt3. not found' 450
    refused 'error: unknown filesystem' $(($(start d.raw 3) + 1080))
    refused 'error: ' "$(packed d.raw 1)"
    refused 'kernel panic on cpu 0: manifest, line ' "$(packed d.raw 2)"
    refused 'no root filesystem labelled ops-root' $((root + 1028))
    refused 'no root filesystem labelled ops-root' $((root + 1080))
    refused 'no root filesystem labelled ops-root' $((root + 4099))
    head -c $(($(stat -c %s d.raw) / 2)) d.raw >bad.raw
    boot bad.raw
    grep -q 'no root filesystem labelled ops-root' clean || fail "cut off: $(tail -c 400 clean)"
}

test_checksums_under_uefi() {
    app
    build d.raw
    code=$(ls /usr/share/OVMF/OVMF_CODE.fd /usr/share/OVMF/OVMF_CODE_4M.fd 2>/dev/null | head -1)
    flip d.raw "$(packed d.raw 1)"
    boot d.raw -drive "if=pflash,format=raw,readonly=on,file=$code"
    grep -qE 'error: (checksum mismatch|attempt to seek|premature)' clean && ! grep -q hello clean || fail "$(tail -c 400 clean)"
    [ $STATUS = 0 ] || fail "status $STATUS: the machine does not go off"
}

# Firmware that trusts the test key of the package ovmf alone starts DISK: QEMU is its process.
snakeoil() { # DISK
    cp /usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd vars.fd
    : >serial
    qemu-system-x86_64 -M q35,smm=on -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot -serial file:serial \
        -device isa-debug-exit -snapshot -global driver=cfi.pflash01,property=secure,value=on \
        -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.snakeoil.fd \
        -drive if=pflash,format=raw,file=vars.fd -drive "file=$1,format=raw,if=virtio" >/dev/null 2>err </dev/null &
    QEMU=$!
}

denied() { # DISK
    snakeoil "$1"
    wait_for 100 grep -q 'Access Denied' serial
    denied=$?
    kill $QEMU
    wait $QEMU 2>/dev/null
    [ $denied = 0 ] || fail "the firmware starts $1: $(tr -d '\r' <serial | tail -3)"
    ! grep -q hello serial || fail "$1 runs"
}

test_secure_boot() {
    [ -e /usr/share/OVMF/OVMF_CODE_4M.snakeoil.fd ] && command -v sbsign >/dev/null ||
        skip "no firmware with a test key, or no sbsign"
    app
    openssl rsa -in /usr/share/ovmf/PkKek-1-snakeoil.key -passin pass:snakeoil -out key.pem 2>/dev/null
    certificate=/usr/share/ovmf/PkKek-1-snakeoil.pem
    build s.raw --efi-key key.pem --efi-cert $certificate
    ops image verify s.raw
    want_status 0
    dd if=s.raw of=part bs=1M skip=2 count=4 status=none
    mcopy -i part ::/EFI/BOOT/BOOTX64.EFI efi
    sbverify --cert $certificate efi >log 2>&1 || fail "$(cat log)"
    ops image env s.raw A=1
    want_error 1 'part of the program that is signed' 'build it again'
    flip s.raw "$(packed s.raw 2)" # only BIOS machines load that copy
    snakeoil s.raw
    wait $QEMU
    [ $? = 33 ] && tr -d '\r' <serial | grep -qx 'hello 2 x' || fail "$(tr -d '\r' <serial | tail -5)"
    flip s.raw $((2621440)) # within the signed program
    denied s.raw
    build u.raw
    denied u.raw
}

test_secure_boot_errors() {
    app
    ops build --efi-key key.pem -o x ./app
    want_error 2 'efi-key is given without --efi-cert'
    ops build --efi-key nosuch.pem --efi-cert nosuch.pem -o x ./app
    want_status 1
    want_no_file x
    mkdir bin && ln -s "$(command -v grub-mkimage)" bin/
    PATH=$T/bin "$OPS" build --efi-key key.pem --efi-cert key.pem -o x ./app >out 2>err </dev/null
    STATUS=$?
    want_error 1 'cannot find sbsign' 'apt install sbsigntool'
    [ -z "$(ls -A | grep unfinished)" ] || fail "left: $(ls -A)"
}

# A disk, or an image by its name, stands where a program does.
test_run() {
    cc_program app -static <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("%s ", argv[i]);
    FILE *f = fopen("/written", "wx");
    printf("%s %s %d\n", getenv("A"), getenv("B"), f != NULL);
    return 5;
}
END
    ops build -e A=1 -e B=2 -o d.raw ./app one
    want_status 0
    sum=$(sha256sum <d.raw)
    for machine in microvm q35; do
        ops run --machine $machine -e B=3 d.raw two
        want_status 5
        want_out './app one two 1 3 1'
    done
    [ "$(sha256sum <d.raw)" = "$sum" ] || fail "the disk was written"
    ops image create -n web ./app
    want_status 0
    ops run web
    want_out './app (null) (null) 1'
    ops run --print-manifest d.raw
    want_out_has '^program=.*/app$'
    ops run --explain d.raw
    want_out_has '^root +the disk .*/d.raw; what is written ends with the machine$'
    ops build -o e.raw d.raw
    want_error 2 'd.raw is a disk already' 'qemu-img convert'
    want_no_file e.raw
}

not_run() { # SENTENCE: bad.raw
    ops run bad.raw
    want_error 1 "$1"
    [ ! -s out ] || fail "it ran: $(cat out)"
}

# Damage that GRUB or the kernel would meet is told before the machine starts.
test_damaged_disks_are_not_run() {
    app
    build d.raw
    size=$(stat -c %s d.raw)
    while read -r offset sentence; do
        cp --sparse=always d.raw bad.raw
        flip bad.raw "$offset"
        not_run "bad.raw.*$sentence|$sentence"
    done <<END
540 the first partition table is damaged
$((size - 500)) the second partition table is damaged
$(packed d.raw 1) kernel.elf of the boot partition is damaged
$(packed d.raw 2) manifest of the boot partition is damaged
$(($(start d.raw 4) + 1028)) superblock
END
    for part in $((size - 512)) $((size / 2)) $((3 << 20)) 40000; do
        head -c $part d.raw >bad.raw
        not_run "bad.raw: it has $part bytes, not $size|is cut short|too short"
    done
}

e2e_main "$@"
