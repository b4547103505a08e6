# SPDX-License-Identifier: Apache-2.0
# hostile_tar.py WHAT FILE: an archive that wants to do harm.
import gzip, io, subprocess, sys, tarfile

what, out = sys.argv[1:]
R, D, L, H = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def tar(entries):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, kind, link, data in entries:
            e = tarfile.TarInfo(name)
            e.type, e.linkname, e.size, e.mode = kind, link, len(data), 0o755
            e.devmajor, e.devminor = 1, 3
            t.addfile(e, io.BytesIO(data))
    return raw.getvalue()


def lying_size(data):
    """The first header says 8 GiB."""
    head = bytearray(data[:512])
    head[124:136] = b"77777777777\0"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data[512:]


good = [("d/", D, "", b""), ("d/f", R, "", b"hello" * 1000)]
cases = {
    "traversal": lambda: tar([("../evil", R, "", b"x")]),
    "traversal-deep": lambda: tar([("a/b/../../../evil", R, "", b"x")]),
    "absolute": lambda: tar([("/evil-absolute", R, "", b"x")]),
    "symlink": lambda: tar([("l", L, "..", b""), ("l/evil", R, "", b"x")]),
    "symlink-absolute": lambda: tar([("l", L, "/", b""), ("l/evil", R, "", b"x")]),
    "symlink-chain": lambda: tar([("a", L, "b", b""), ("b", L, "../../..", b""), ("a/evil", R, "", b"x")]),
    "symlink-replaced": lambda: tar([("d/", D, "", b""), ("d", L, "/tmp", b""), ("d/evil", R, "", b"x")]),
    "symlink-loop": lambda: tar([("a", L, "b", b""), ("b", L, "a", b""), ("a/evil", R, "", b"x")]),
    "symlink-nowhere": lambda: tar([("a", L, "none/../../x", b""), ("a/evil", R, "", b"x")]),
    "hardlink": lambda: tar([("h", H, "../../../../../../etc/passwd", b"")]),
    "hardlink-absolute": lambda: tar([("h", H, "/etc/passwd", b"")]),
    "hardlink-symlink": lambda: tar([("l", L, "/etc", b""), ("h", H, "l/passwd", b"")]),
    "hardlink-below": lambda: tar([("d/", D, "", b""), ("d/f", R, "", b"x"), ("d", H, "d/f", b"")]),
    "through-file": lambda: tar([("f", R, "", b"x"), ("f/evil", R, "", b"x")]),
    "devices": lambda: tar([("null", tarfile.CHRTYPE, "", b""), ("disk", tarfile.BLKTYPE, "", b""),
                            ("fifo", tarfile.FIFOTYPE, "", b""), ("again", H, "null", b"")] + good),
    "bomb": lambda: gzip.compress(tar([("zeros", R, "", bytes(80 << 20))]), 9),
    "bomb-sparse": lambda: lying_size(tar([("zeros", R, "", b"x")])),
    "bomb-entries": lambda: tar([("f%d" % i, R, "", b"") for i in range(3000)]),
    "bomb-deep": lambda: tar([("/".join("d" * 2000), D, "", b""), ("/".join("d" * 2500), D, "", b"")]),
    "long-name": lambda: tar([("n" * 300, R, "", b"x")]),
    "root-file": lambda: tar([(".", R, "", b"x")]),
    "dir-over": lambda: tar(good + [("d", R, "", b"x")]),
    "plain": lambda: tar(good),
    "gz": lambda: gzip.compress(tar(good)),
    "gz-garbage": lambda: gzip.compress(tar(good)) + b"garbage",
    "two-tops": lambda: tar([("one/package.manifest", R, "", b"{}"), ("two/x", R, "", b"x")]),
    "package": lambda: tar([("one/package.manifest", R, "", b'{"Program": "/x"}'), ("one/prog", R, "", b"p"),
                            ("one/sysroot/usr/", D, "", b""), ("one/sysroot/l", L, "/usr", b""), ("one/sysroot/l/in", R, "", b"in")]),
    "package-symlink": lambda: tar([("one/package.manifest", R, "", b"{}"), ("one/sysroot", L, "/etc", b""), ("one/sysroot/evil", R, "", b"x")]),
    "package-list": lambda: tar([("one/package.manifest", R, "", b"{}"), ("one/sysroot/a", R, "", b"x"),
                                 ("one/sysroot.mtree", R, "", b"#mtree\n. type=dir mode=0755 uid=0 gid=0 time=0.000000000\n")]),
    "package-list-symlink": lambda: tar([("one/package.manifest", R, "", b"{}"), ("one/sysroot/a", R, "", b"x"),
                                         ("one/sysroot.mtree", L, "/etc/passwd", b"")]),
    "no-package": lambda: tar([("one/x", R, "", b"{}")]),
}
for name, command in ("xz", ["xz", "-c"]), ("zst", ["zstd", "-q", "-c"]), ("bz2", ["bzip2", "-c"]):
    cases[name] = lambda command=command: subprocess.run(command, input=tar(good), stdout=subprocess.PIPE, check=True).stdout
with open(out, "wb") as f:
    f.write(cases[what]())
