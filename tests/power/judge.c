/* SPDX-License-Identifier: Apache-2.0 */
/* See judge.h. Reads the image by libext2fs, which is not the driver that wrote it. */
#include "judge.h"

#include <ext2fs/ext2fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"

struct look {
    ext2_filsys fs;
    const struct model *model;
    unsigned directory;
    int32_t names[NAMES];
    ext2_ino_t ino[NAMES];
    bool wrong;
};

__attribute__((format(printf, 1, 2))) static bool bad(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "judge: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    return false;
}

__attribute__((format(printf, 1, 2))) static bool run(const char *fmt, ...)
{
    char cmd[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd, sizeof cmd, fmt, ap);
    va_end(ap);
    return !system(cmd);
}

bool judge_replay(const char *image)
{
    if (run("e2fsck -fy -E no_optimize_extents %s >%s.said 2>&1; test $? -le 1 && "
            "! grep -q '? yes' %s.said",
            image, image, image))
        return true;
    (void)run("head -n 30 %s.said >&2", image);
    return bad("e2fsck had to repair");
}

bool judge_sound(const char *image)
{
    if (run("e2fsck -fn %s >%s.said 2>&1", image, image))
        return true;
    (void)run("head -n 30 %s.said >&2", image);
    return bad("e2fsck finds errors");
}

bool judge_make_volume(const char *image, unsigned mib)
{
    bool ok = run("tr '\\0' '\\356' </dev/zero | head -c %uM >%s && "
                  "mke2fs -q -F -t ext4 -b 4096 -J size=4 -m 0 -L power "
                  "-E nodiscard,lazy_itable_init=0,lazy_journal_init=0 %s >/dev/null 2>&1",
                  mib, image, image);
    for (unsigned w = 0; ok && w < WORKERS; w++)
        ok = run(
            "printf 'mkdir w%u\\nmkdir w%u/d0\\nmkdir w%u/d1\\n' | debugfs -w -f - %s >/dev/null "
            "2>&1",
            w, w, w, image);
    ok = ok && run("head -c %u /dev/zero >%s.marks && debugfs -w -R 'write %s.marks " MARKS_NAME
                   "' %s >/dev/null 2>&1; e2fsck -fyD %s >/dev/null 2>&1; rm %s.marks",
                   WORKERS * MARK_SPACE, image, image, image, image, image);
    return ok ? judge_sound(image) : bad("cannot make %s", image);
}

static int on_name(struct ext2_dir_entry *e, int offset, int size, char *buf, void *arg)
{
    struct look *l = arg;
    unsigned len = (unsigned)e->name_len & 0xff, slot = (unsigned)(e->name[0] - 'a');
    struct ext2_inode inode;
    (void)offset, (void)size, (void)buf;
    if (e->name[0] == '.' && len <= 2)
        return 0;
    if (len != 1 || slot >= SLOTS || ext2fs_read_inode(l->fs, e->inode, &inode)) {
        l->wrong = true;
        return DIRENT_ABORT;
    }
    l->names[l->directory * SLOTS + slot] = inode.i_mode & 0777;
    l->ino[l->directory * SLOTS + slot] = e->inode;
    return 0;
}

static bool look_at_names(struct look *l)
{
    for (unsigned i = 0; i < NAMES; i++)
        l->names[i] = -1;
    for (l->directory = 0; l->directory < 2; l->directory++) {
        char path[TEXT_MAX];
        ext2_ino_t ino;
        snprintf(path, sizeof path, "/w%u/d%u", l->model->plan.worker, l->directory);
        if (ext2fs_namei(l->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino) ||
            ext2fs_dir_iterate(l->fs, ino, 0, NULL, on_name, l) || l->wrong)
            return bad("%s is not what it was", path);
    }
    return true;
}

static bool look_at_content(const struct look *l, ext2_ino_t ino, uint32_t file)
{
    static uint8_t buf[(UNITS_MAX + 1) * UNIT];
    const struct file_model *f = &l->model->files[file];
    unsigned worker = l->model->plan.worker, size = 0;
    ext2_file_t open;
    if (ext2fs_file_open(l->fs, ino, 0, &open))
        return bad("worker %u: file %u cannot be opened", worker, file);
    errcode_t err = ext2fs_file_read(open, buf, sizeof buf, &size);
    ext2fs_file_close(open);
    if (err)
        return bad("worker %u: file %u cannot be read", worker, file);
    if (size < f->size_least || size > f->size_most)
        return bad("worker %u: file %u has %u bytes, not %u .. %u", worker, file, size,
                   f->size_least, f->size_most);
    for (uint32_t at = 0; at < size; at += UNIT) {
        size_t n = size - at < UNIT ? size - at : UNIT;
        char text[128];
        if (model_allows(l->model, file, at / UNIT, buf + at, n))
            continue;
        plan_describe(buf + at, text, sizeof text);
        return bad("worker %u: file %u, unit %u holds: %s", worker, file, at / UNIT, text);
    }
    return true;
}

static bool judge_worker(ext2_filsys fs, const struct told *told, unsigned worker)
{
    struct model m;
    struct look l = {.fs = fs, .model = &m};
    model_build(&m, told->seed, worker, told->done[worker], told->steps);
    bool ok = look_at_names(&l);
    int64_t state = ok ? model_state(&m, l.names, m.names_from) : 0;
    if (state < 0)
        ok = bad("worker %u: its names are those of no state since operation %u (but of %lld); "
                 "%u were done",
                 worker, m.names_from, (long long)model_state(&m, l.names, 0), told->done[worker]);
    for (unsigned i = 0; i < NAMES && ok; i++)
        if (l.ino[i])
            ok = look_at_content(&l, l.ino[i], (uint32_t)m.states[state][i]);
    model_free(&m);
    return ok;
}

bool judge_content(const char *image, const struct told *told)
{
    ext2_filsys fs;
    if (ext2fs_open(image, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs))
        return bad("cannot open %s", image);
    bool ok = true;
    for (unsigned w = 0; w < WORKERS && ok; w++)
        ok = judge_worker(fs, told, w);
    ext2fs_close_free(&fs);
    return ok;
}
