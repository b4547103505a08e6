# SPDX-License-Identifier: Apache-2.0
# Writes an OCI layout by hand: oci_image.py DIR [gzip|zstd|none] [KEY=JSON...]. Three layers on
# one base hold everything that an unpacking can lose: whiteouts, an opaque directory, hard links,
# symlinks on the way, owners, special bits, xattrs, times with nanoseconds, odd names. The keys
# go into the image's configuration (Entrypoint=["/bin/x"]); `variants` adds other platforms.
import base64, gzip, hashlib, io, json, os, subprocess, sys, tarfile

out, packing = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "gzip"
blobs = os.path.join(out, "blobs", "sha256")
os.makedirs(blobs, exist_ok=True)


def blob(data):
    name = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, name), "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + name, "size": len(data)}


def entry(name, kind=tarfile.REGTYPE, mode=0o644, data=b"", link="", uid=0, gid=0, time=1234567890.5, xattrs={}):
    e = tarfile.TarInfo(name)
    e.type, e.mode, e.linkname, e.uid, e.gid, e.mtime, e.size = kind, mode, link, uid, gid, time, len(data)
    for key, value in xattrs.items():
        e.pax_headers["SCHILY.xattr." + key] = value
        # bsdtar writes each one in its own way too.
        e.pax_headers["LIBARCHIVE.xattr." + key.replace(" ", "%20")] = base64.b64encode(value.encode()).decode().rstrip("=")
    return e, io.BytesIO(data)


def layer(entries):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as t:
        for e, data in entries:
            t.addfile(e, data)
    return raw.getvalue()


D, L, H = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
with open("/bin/busybox", "rb") as f:
    busybox = f.read()
base = [
    entry("./", D, 0o755), entry("bin/", D, 0o755), entry("etc/", D, 0o755),
    entry("bin/busybox", mode=0o755, data=busybox), entry("bin/sh", L, link="busybox"),
    entry("bin/echo", H, link="bin/busybox"), entry("bin/env", L, link="/bin/busybox"),
    entry("etc/passwd", data=b"root:x:0:0::/:\nweb:x:33:34::/srv:\n"),
    entry("etc/group", data=b"root:x:0:\nstaff:x:50:\n"),
    entry("usr/", D, 0o755), entry("usr/lib/", D, 0o755), entry("usr/lib/old", data=b"old"),
    entry("lib", L, link="usr/lib"), entry("lib/through", data=b"a symlink is on the way"),
    entry("srv/", D, 0o2770, uid=33, gid=34), entry("srv/one", data=b"1", uid=33, gid=34),
    entry("srv/two", data=b"2", uid=100000, gid=4000000000),
    entry("srv/keep/", D, 0o700), entry("srv/keep/below", data=b"below"),
    entry("gone", data=b"x"), entry("gone-dir/", D, 0o755), entry("gone-dir/in", data=b"y"),
    entry("big", data=b"\0" * 300000 + b"end"), entry("set", mode=0o4755, data=b"#"),
    entry("tmp/", D, 0o1777), entry("closed", mode=0, data=b"nobody reads it"),
    entry("closed-dir/", D, 0o555), entry("closed-dir/file", mode=0o444, data=b"in it"),
    entry("name with space and \u00e4 # \\", data=b"odd"),
    entry("x", data=b"attributes", xattrs={"user.one": "1", "user.two words": "a\nb"}),
    entry("time", data=b"", time=1111111111.123456789), entry("file-then-dir", data=b"f"),
    entry("dir-then-file/", D, 0o755), entry("dir-then-file/in", data=b"z"),
    entry("h1", data=b"linked"), entry("h2", H, link="h1"), entry("h3", H, link="./h2"),
]
second = [
    entry(".wh.gone"), entry(".wh.gone-dir"), entry("srv/", D, 0o2775, uid=33, gid=50),
    entry("srv/.wh.one"), entry("usr/lib/.wh.old"), entry("usr/lib/new", data=b"new"),
    entry("file-then-dir/", D, 0o750), entry("file-then-dir/in", data=b"now"),
    entry("dir-then-file", data=b"a file"), entry("h1", data=b"not linked any more"),
    entry("x", data=b"attributes", xattrs={"user.three": "3"}),
]
third = [
    entry("srv/keep/", D, 0o711), entry("srv/keep/.wh..wh..opq"), entry("srv/keep/mine", data=b"own"),
    entry("run.sh", mode=0o755, data=b"#!/bin/sh\nexec \"$@\"\n"), entry("h4", H, link="h3"),
    entry("tool", mode=0o755, data=b"#!/bin/env busybox\n"),
]
config = {"Entrypoint": ["/bin/echo"], "Cmd": ["hello", "$HOME"], "Env": ["PATH=/bin", "A=b=c", "E="],
          "WorkingDir": "/srv", "User": "web:staff", "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT"}
variants = False
for word in sys.argv[3:]:
    key, value = word.split("=", 1)
    if key == "variants":
        variants = True
    else:
        config[key] = json.loads(value)

layers, diffs = [], []
for content in base, second, third:
    raw = layer(content)
    diffs.append("sha256:" + hashlib.sha256(raw).hexdigest())
    kind = {"gzip": "+gzip", "zstd": "+zstd", "none": ""}[packing]
    if packing == "gzip":
        raw = gzip.compress(raw, mtime=0)
    elif packing == "zstd":
        raw = subprocess.run(["zstd", "-q", "-c"], input=raw, stdout=subprocess.PIPE, check=True).stdout
    layers.append(dict(blob(raw), mediaType="application/vnd.oci.image.layer.v1.tar" + kind))


def image(cpu):
    made = {"os": "linux", "architecture": cpu, "config": config,
            "rootfs": {"type": "layers", "diff_ids": diffs}, "history": []}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": dict(blob(json.dumps(made).encode()), mediaType="application/vnd.oci.image.config.v1+json"),
                "layers": layers}
    return dict(blob(json.dumps(manifest).encode()), mediaType=manifest["mediaType"])


main = image("amd64")
if variants:
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        dict(image("arm64"), platform={"os": "linux", "architecture": "arm64"}),
        dict(main, platform={"os": "linux", "architecture": "amd64"})]}
    main = dict(blob(json.dumps(index).encode()), mediaType=index["mediaType"])
main["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
with open(os.path.join(out, "index.json"), "w") as f:
    json.dump({"schemaVersion": 2, "manifests": [main]}, f)
with open(os.path.join(out, "oci-layout"), "w") as f:
    json.dump({"imageLayoutVersion": "1.0.0"}, f)
