#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ops build --target`: the format, and the files that a user of it needs next.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=120

program() { cc_program app -static <<<'int main(void) { return 0; }'; }

test_errors() {
    program
    ops build --target gpc -o disk ./app
    want_error 2 'there is no target gpc' 'did you mean gcp\? There are do, gcp, hetzner, kubevirt, libvirt, nomad, openstack, proxmox, virtualbox, vultr'
    ops build --target aws -o disk ./app
    want_error 2 'machines of aws have NVMe disks and ENA cards, which the kernel cannot use' '--format raw writes such a disk all the same'
    ops build --target vsphere -o disk ./app
    want_error 2 'machines of vsphere have disks and cards of VMware' '--format ova'
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

test_kubevirt_and_nomad() {
    program
    echo '{"RunConfig": {"Memory": "128M", "Ports": ["8080", "9000:90"]}}' >ops.json
    ops build --target kubevirt -o web.qcow2 ./app
    want_out $'web.qcow2.kubevirt.yaml\nweb.qcow2.Containerfile'
    grep -qx 'ADD --chown=107:107 \["web.qcow2", "/disk/"\]' web.qcow2.Containerfile || fail "$(cat web.qcow2.Containerfile)"
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
    [ "$(tr -cd '{' <web.qcow2.nomad.hcl | wc -c)" = "$(tr -cd '}' <web.qcow2.nomad.hcl | wc -c)" ] || fail "braces"
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
