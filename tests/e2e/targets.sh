#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ops build --target`: the format, and the files that a user of it needs next.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=120

program() { cc_program app -static <<<'int main(void) { return 0; }'; }

test_errors() {
    program
    ops build --target gpc -o disk ./app
    want_error 2 'there is no target gpc' 'did you mean gcp\? There are cloud-hypervisor, do, firecracker, gcp, hetzner, kubevirt, libvirt, nomad, openstack, proxmox, virtualbox, vsphere, vultr'
    ops build --target aws -o disk ./app
    want_error 2 'machines of aws have network cards of Amazon.s own \(ENA\), which the kernel cannot use' '--format raw writes such a disk all the same'
    for target in azure hyperv; do
        ops build --target $target -o disk ./app
        want_error 2 "machines of $target have disks and network cards of Hyper-V \\(VMBus\\)" '--format vhd'
    done
    ops build --target firecracker --format raw -o disk ./app
    want_error 2 'firecracker does not start raw images' 'leave out --format'
    ops build --target gcp --format direct -o disk ./app
    want_error 2 'gcp does not start direct images'
    ops build --target firecracker -o disk.tar ./app
    want_error 2 'not an archive' 'the name of a directory'
    want_no_file disk
}

test_libvirt() {
    program
    echo '{"RunConfig": {"Memory": "64M", "CPUs": 2}}' >ops.json
    ops build --target libvirt -o 'my&web.qcow2' ./app
    want_status 0
    want_out 'my&web.qcow2.libvirt.xml'
    qemu-img info --output=json 'my&web.qcow2' | grep -q '"format": "qcow2"' || fail "not a qcow2"
    python3 - "$PWD" <<'END' || fail "$(cat my*.xml)"
import sys, xml.etree.ElementTree as x
d = x.parse("my&web.qcow2.libvirt.xml").getroot()
assert d.get("type") == "kvm" and d.findtext("name") == "my&web" and d.findtext("memory") == "64" and d.findtext("vcpu") == "2"
assert d.find("devices/disk/source").get("file") == sys.argv[1] + "/my&web.qcow2"
END
    ! command -v virt-xml-validate >/dev/null || virt-xml-validate my*.xml domain >log 2>&1 || fail "$(cat log)"
}

test_direct_targets() {
    program
    echo '{"RunConfig": {"Memory": "64M", "CPUs": 2}}' >ops.json
    ops build ./app --target firecracker -o 'a "b"'
    want_status 0
    want_out $'a "b".firecracker.json\na "b".firecracker.sh'
    bash -n 'a "b".firecracker.sh' || fail "$(cat ./*.sh)"
    python3 - "$PWD" <<'END' || fail "$(cat ./*.json)"
import json, os, sys
c = json.load(open('a "b".firecracker.json'))
# what the API of Firecracker requires of each object
required = {"boot-source": {"kernel_image_path"}, "machine-config": {"vcpu_count", "mem_size_mib"}}
for name, fields in required.items():
    assert fields <= set(c[name]), name
assert {"drive_id", "is_root_device", "path_on_host"} <= set(c["drives"][0])
assert {"iface_id", "host_dev_name"} <= set(c["network-interfaces"][0])
assert c["machine-config"] == {"vcpu_count": 2, "mem_size_mib": 64}
for path in (c["boot-source"]["kernel_image_path"], c["boot-source"]["initrd_path"], c["drives"][0]["path_on_host"]):
    assert path.startswith(sys.argv[1]) and os.path.isfile(path), path
END
    ops build --target cloud-hypervisor -o dir ./app
    want_out dir.cloud-hypervisor.sh
    bash -n dir.cloud-hypervisor.sh && grep -q -- "--initramfs $PWD/dir/manifest --cpus boot=2 --memory size=64M" dir.cloud-hypervisor.sh || fail "$(cat ./*.sh)"
}

test_kubevirt_and_nomad() {
    program
    echo '{"RunConfig": {"Memory": "128M", "Ports": ["8080", "9000:90"]}}' >ops.json
    ops build --target kubevirt -o web.qcow2 ./app
    want_out $'web.qcow2.kubevirt.yaml\nweb.qcow2.Containerfile'
    grep -qx 'ADD --chown=107:107 \["web.qcow2", "/disk/"\]' web.qcow2.Containerfile || fail "$(cat web.qcow2.Containerfile)"
    ops build --target kubevirt -o web ./app
    want_out web.kubevirt.yaml
    skopeo inspect oci-archive:web >info || fail "web is no container image"
    grep -q 'image: "REGISTRY/web:latest" # skopeo copy oci-archive:web docker://' web.kubevirt.yaml || fail "$(cat web.kubevirt.yaml)"
    grep -q 'guest: "128Mi"' web.qcow2.kubevirt.yaml && grep -q 'port: 90$' web.qcow2.kubevirt.yaml || fail "$(cat web.qcow2.kubevirt.yaml)"
    python3 - <<'END' || fail "$(cat web.qcow2.kubevirt.yaml)"
try:
    import yaml
except ImportError:
    raise SystemExit(0)
v = yaml.safe_load(open("web.qcow2.kubevirt.yaml"))
s = v["spec"]["template"]["spec"]
assert v["kind"] == "VirtualMachine" and s["domain"]["devices"]["disks"][0]["name"] == s["volumes"][0]["name"]
assert [p["port"] for p in s["domain"]["devices"]["interfaces"][0]["ports"]] == [8080, 90]
END
    ops build --target nomad -o web.qcow2 ./app
    want_out web.qcow2.nomad.hcl
    grep -q 'image_path *= "/.*/web.qcow2"' web.qcow2.nomad.hcl && grep -q 'p8080 = 8080' web.qcow2.nomad.hcl || fail "$(cat web.qcow2.nomad.hcl)"
    if python3 -c 'import hcl' 2>/dev/null; then
        python3 - <<'END' || fail "$(cat web.qcow2.nomad.hcl)"
import hcl
task = hcl.load(open("web.qcow2.nomad.hcl"))["job"]["web"]["group"]["web"]["task"]["web"]
assert task["driver"] == "qemu" and task["config"]["image_path"].endswith("/web.qcow2")
assert task["resources"]["memory"] == 128 and task["config"]["port_map"] == {"p8080": 8080, "p90": 90}, task
END
    fi
    [ "$(tr -cd '{' <web.qcow2.nomad.hcl | wc -c)" = "$(tr -cd '}' <web.qcow2.nomad.hcl | wc -c)" ] || fail "braces"
}

# A disk at AHCI and a card of the e1000 family: the machine that QEMU makes of the same parts.
test_vsphere() {
    cc_program app -static <<<'#include <stdio.h>
int main(void) { puts("it runs"); return 0; }'
    ops build --target vsphere -o web.ova ./app
    want_status 0
    want_out web.ova.vsphere.sh
    bash -n web.ova.vsphere.sh || fail "$(cat web.ova.vsphere.sh)"
    tar -xf web.ova
    grep -q '<rasd:ResourceSubType>vmware.sata.ahci</rasd:ResourceSubType>' web.ovf &&
        grep -q '<rasd:ResourceSubType>E1000e</rasd:ResourceSubType>' web.ovf || fail "$(cat web.ovf)"
    timeout $E2E_LIMIT qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot -serial stdio \
        -device isa-debug-exit -snapshot -drive if=none,id=d,file=web-disk1.vmdk,format=vmdk -device ide-hd,drive=d \
        -netdev user,id=n -device e1000e,netdev=n >serial 2>err </dev/null
    tr -d '\r' <serial | grep -qx 'it runs' || fail "$(tail -c 400 serial)"
}

# Files of commands are shell, quoted where it is needed.
test_commands() {
    program
    for target in do openstack proxmox vultr hetzner virtualbox; do
        ops build --target $target -o "a b" ./app
        want_status 0
        want_out "a b.$target.sh"
        bash -n "a b.$target.sh" || fail "$(cat "a b.$target.sh")"
    done
    grep -q "'a b'" 'a b.openstack.sh' || fail "$(cat 'a b.openstack.sh')"
    qemu-img info --output=json 'a b' | grep -q format || fail "no disk"
}

e2e_main "$@"
