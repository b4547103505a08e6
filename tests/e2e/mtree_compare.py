# SPDX-License-Identifier: Apache-2.0
# mtree_compare.py LIST TREE: every file of a tree that root unpacked, against sysroot.mtree; prints
# the differences.
import base64, hashlib, os, re, stat, sys

listed, tree = sys.argv[1:]
unescape = lambda s: re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), s)
want = {}
with open(listed, "rb") as f:
    for line in f.read().splitlines()[1:]:
        words = line.split(b" ")
        entry = {}
        for word in words[1:]:
            key, value = word.split(b"=", 1)
            entry[unescape(key).decode(errors="surrogateescape")] = unescape(value)
        want[unescape(words[0])] = entry

have, inodes = {}, {}
for top, dirs, files in os.walk(os.fsencode(tree)):
    for name in [b""] if top == os.fsencode(tree) else []:
        have[b"."] = top
    for name in dirs + files:
        have[b"." + os.path.join(top, name)[len(os.fsencode(tree)):]] = os.path.join(top, name)
for path in sorted(set(want) ^ set(have)):
    print("only in", "the list" if path in want else "the tree", path)
for path in sorted(set(want) & set(have)):
    e, st = want[path], os.lstat(have[path])
    kind = {stat.S_IFDIR: b"dir", stat.S_IFREG: b"file", stat.S_IFLNK: b"link"}[stat.S_IFMT(st.st_mode)]
    got = {"type": kind, "mode": b"%04o" % stat.S_IMODE(st.st_mode), "uid": b"%d" % st.st_uid,
           "gid": b"%d" % st.st_gid, "time": b"%d.%09d" % divmod(st.st_mtime_ns, 10**9)}
    if kind == b"file":
        with open(have[path], "rb") as f:
            got["sha256digest"] = hashlib.sha256(f.read()).hexdigest().encode()
        got["size"] = b"%d" % st.st_size
        if st.st_nlink > 1:
            got["nlink"] = b"%d" % st.st_nlink
        inodes.setdefault(st.st_ino, []).append(path)
    if kind == b"link":
        got["link"] = os.readlink(have[path])
    for name in os.listxattr(have[path], follow_symlinks=False):
        got["xattr." + name] = base64.b64encode(os.getxattr(have[path], name, follow_symlinks=False))
    for key in sorted(set(e) | set(got)):
        if e.get(key) != got.get(key):
            print(path, key, e.get(key), got.get(key))
