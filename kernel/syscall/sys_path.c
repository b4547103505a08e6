/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: calls that name files: open, create, remove, rename, links, directories. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>

#include "file/fdtable.h"
#include "fs/fs.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"

/* Flags of open(2) that openat2(2) takes. */
#define OPEN_KNOWN                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | FASYNC | \
     O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH |          \
     O_TMPFILE)

static long open_at(int dir, struct uptr name, unsigned flags, unsigned mode, unsigned walk)
{
    struct at at;
    struct file *f;
    int err = walk & WALK_IN_ROOT ? at_get_in_root(&at, dir, name) : at_get(&at, dir, name, false);
    if (err)
        return err;
    int fd = fd_reserve(process.fds, 0, flags & O_CLOEXEC);
    if (fd >= 0) {
        err = fs_open(process.fs, at.start, at.name, flags, mode & 07777, walk, &f);
        if (err) {
            fd_cancel(process.fds, fd);
            fd = err;
        } else {
            fd_publish(process.fds, fd, f);
        }
    }
    at_put(&at);
    return fd;
}

long sys_openat(int dir, struct uptr name, unsigned flags, unsigned mode)
{
    return open_at(dir, name, flags, mode, 0);
}

/* The walker's flags for RESOLVE_* of openat2(2). */
static int resolve_flags(uint64_t resolve, unsigned *walk)
{
    static const unsigned flag[][2] = {
        {RESOLVE_NO_XDEV, WALK_NO_XDEV},      {RESOLVE_NO_MAGICLINKS, WALK_NO_MAGIC},
        {RESOLVE_NO_SYMLINKS, WALK_NO_LINKS}, {RESOLVE_BENEATH, WALK_BENEATH},
        {RESOLVE_IN_ROOT, WALK_IN_ROOT},      {RESOLVE_CACHED, WALK_CACHED},
    };
    *walk = 0;
    for (unsigned i = 0; i < sizeof flag / sizeof flag[0]; i++) {
        if (resolve & flag[i][0])
            *walk |= flag[i][1];
        resolve &= ~(uint64_t)flag[i][0];
    }
    return resolve || (*walk & WALK_BENEATH && *walk & WALK_IN_ROOT) ? -EINVAL : 0;
}

/* openat2 refuses what openat ignores. */
static int open_how_check(const struct open_how *how)
{
    if (how->flags & ~(uint64_t)OPEN_KNOWN || how->mode & ~07777ull)
        return -EINVAL;
    if (how->mode && !(how->flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))))
        return -EINVAL;
    if (how->flags & O_PATH &&
        how->flags & ~(uint64_t)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
        return -EINVAL;
    if (how->resolve & RESOLVE_CACHED &&
        how->flags & (O_TRUNC | O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))
        return -EAGAIN;
    return 0;
}

long sys_openat2(int dir, struct uptr name, struct uptr arg, unsigned long size)
{
    struct open_how how;
    unsigned walk;
    if (size < sizeof how)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    int err = copy_from_user(&how, arg, sizeof how);
    for (unsigned long i = sizeof how; !err && i < size; i++) { /* later versions' fields */
        char more;
        err = copy_from_user(&more, uptr_add(arg, i), 1);
        err = err ? err : more ? -E2BIG : 0;
    }
    if (!err)
        err = resolve_flags(how.resolve, &walk);
    if (!err)
        err = open_how_check(&how);
    return err ? err : open_at(dir, name, (unsigned)how.flags, (unsigned)how.mode, walk);
}

long sys_open(struct uptr name, unsigned flags, unsigned mode)
{
    return sys_openat(AT_FDCWD, name, flags, mode);
}

long sys_creat(struct uptr name, unsigned mode)
{
    return sys_openat(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

long sys_mknodat(int dir, struct uptr name, unsigned mode, unsigned dev)
{
    struct at at;
    unsigned type = mode & S_IFMT;
    if (type == S_IFDIR)
        return -EPERM;
    if (type && type != S_IFREG && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO &&
        type != S_IFSOCK)
        return -EINVAL;
    if ((type == S_IFCHR || type == S_IFBLK) && process.fs->cred.uid)
        return -EPERM;
    int err = at_get(&at, dir, name, false);
    if (err)
        return err;
    err = fs_make(process.fs, at.start, at.name, mode, dev);
    at_put(&at);
    return err;
}

long sys_mknod(struct uptr name, unsigned mode, unsigned dev)
{
    return sys_mknodat(AT_FDCWD, name, mode, dev);
}

long sys_mkdirat(int dir, struct uptr name, unsigned mode)
{
    struct at at;
    int err = at_get(&at, dir, name, false);
    if (err)
        return err;
    err = fs_make(process.fs, at.start, at.name, S_IFDIR | (mode & 01777), 0);
    at_put(&at);
    return err;
}

long sys_mkdir(struct uptr name, unsigned mode)
{
    return sys_mkdirat(AT_FDCWD, name, mode);
}

static long remove_at(int dir, struct uptr name, bool directory)
{
    struct at at;
    int err = at_get(&at, dir, name, false);
    if (err)
        return err;
    err = fs_unlink(process.fs, at.start, at.name, directory);
    at_put(&at);
    return err;
}

long sys_unlinkat(int dir, struct uptr name, unsigned flags)
{
    if (flags & ~(unsigned)AT_REMOVEDIR)
        return -EINVAL;
    return remove_at(dir, name, flags & AT_REMOVEDIR);
}

long sys_unlink(struct uptr name)
{
    return remove_at(AT_FDCWD, name, false);
}

long sys_rmdir(struct uptr name)
{
    return remove_at(AT_FDCWD, name, true);
}

long sys_renameat2(int from_dir, struct uptr from, int to_dir, struct uptr to, unsigned flags)
{
    struct at old, new;
    if (flags & ~(unsigned)(RENAME_NO_REPLACE | RENAME_SWAP))
        return -EINVAL;
    int err = at_get(&old, from_dir, from, false);
    if (err)
        return err;
    err = at_get(&new, to_dir, to, false);
    if (!err) {
        err = fs_rename(process.fs, old.start, old.name, new.start, new.name, flags);
        at_put(&new);
    }
    at_put(&old);
    return err;
}

long sys_renameat(int from_dir, struct uptr from, int to_dir, struct uptr to)
{
    return sys_renameat2(from_dir, from, to_dir, to, 0);
}

long sys_rename(struct uptr from, struct uptr to)
{
    return sys_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

long sys_linkat(int from_dir, struct uptr from, int to_dir, struct uptr to, unsigned flags)
{
    struct at old, new;
    struct path *target;
    if (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    int err = at_get(&old, from_dir, from, flags & AT_EMPTY_PATH);
    if (err)
        return err;
    err = at_get(&new, to_dir, to, false);
    if (err)
        goto put_old;
    unsigned walk = (flags & AT_EMPTY_PATH) | (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW);
    err = at_is_file(&old) && !old.start ? -EXDEV : at_walk(&old, walk, &target);
    if (!err) {
        err = fs_link(process.fs, target, new.start, new.name);
        path_put(target);
    }
    at_put(&new);
put_old:
    at_put(&old);
    return err;
}

long sys_link(struct uptr from, struct uptr to)
{
    return sys_linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

long sys_symlinkat(struct uptr target, int dir, struct uptr name)
{
    struct at at, text;
    int err = at_get(&text, AT_FDCWD, target, false);
    if (err)
        return err;
    err = at_get(&at, dir, name, false);
    if (!err) {
        err = fs_symlink(process.fs, at.start, at.name, text.name);
        at_put(&at);
    }
    at_put(&text);
    return err;
}

long sys_symlink(struct uptr target, struct uptr name)
{
    return sys_symlinkat(target, AT_FDCWD, name);
}

long sys_readlinkat(int dir, struct uptr name, struct uptr buf, int size)
{
    struct at at;
    if (size <= 0)
        return -EINVAL;
    int err = at_get(&at, dir, name, true);
    if (err)
        return err;
    size = MIN(size, PATH_LIMIT);
    char *text = kmalloc((size_t)size);
    ssize_t n = text ? fs_readlink(process.fs, at.start, at.name, text, (size_t)size) : -ENOMEM;
    if (n > 0 && copy_to_user(buf, text, (size_t)n))
        n = -EFAULT;
    kfree(text);
    at_put(&at);
    return n;
}

long sys_readlink(struct uptr name, struct uptr buf, int size)
{
    return sys_readlinkat(AT_FDCWD, name, buf, size);
}

long sys_getcwd(struct uptr buf, unsigned long size)
{
    char *text = kmalloc(PATH_LIMIT);
    if (!text)
        return -ENOMEM;
    struct path *cwd = fs_context_cwd(process.fs), *root = fs_context_root(process.fs);
    long n = path_deleted(cwd) ? -ENOENT : path_text(cwd, root, text, PATH_LIMIT);
    path_put(cwd);
    path_put(root);
    if (n > 0 && (unsigned long)++n > size)
        n = -ERANGE;
    if (n > 0 && copy_to_user(buf, text, (size_t)n))
        n = -EFAULT;
    kfree(text);
    return n;
}

static long change_directory(struct uptr name, int (*change)(struct fs_context *, struct path *))
{
    struct at at;
    struct path *p;
    int err = at_get(&at, AT_FDCWD, name, false);
    if (err)
        return err;
    err = at_walk(&at, 0, &p);
    if (!err) {
        err = change(process.fs, p);
        path_put(p);
    }
    at_put(&at);
    return err;
}

long sys_chdir(struct uptr name)
{
    return change_directory(name, fs_chdir);
}

long sys_chroot(struct uptr name)
{
    return change_directory(name, fs_chroot);
}

long sys_fchdir(int fd)
{
    struct file *f;
    int err = file_of_any(fd, &f);
    if (err)
        return err;
    err = f->path ? fs_chdir(process.fs, f->path) : -ENOTDIR;
    file_put(f);
    return err;
}

long sys_umask(unsigned mask)
{
    return __atomic_exchange_n(&process.fs->umask, mask & 0777, __ATOMIC_RELAXED);
}
