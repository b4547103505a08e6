/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares: files by path over a fake server with a real directory, changed from both
 * sides; then a server that answers nonsense, is slow, or breaks.
 */
#include "fs_test.h"

#include <linux/fcntl.h>
#include <linux/xattr.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_p9.h"
#include "file/wait.h"
#include "fs/p9/p9.h"
#include "fs/p9/p9_wire.h"
#include "fs/share.h"
#include "fs/writeback.h"
#include "fs/xattr.h"
#include "mem/page.h"

struct fs_context ctx;
extern int fake_mem_fail_after;
extern int fake_block_answer;
extern void (*fake_block)(void);

static struct fake_p9 host;

static int boot(void **state)
{
    const char *why;
    (void)state;
    fake_p9_start(&host, "share0");
    int err = fs_init(NULL, false);
    if (!err)
        err = fs_context_init(&ctx);
    return err ? err : share_mount("share0:/s", 0, &why);
}

static int end(void **state)
{
    (void)state;
    path_put(ctx.root);
    path_put(ctx.cwd);
    fake_p9_end(&host);
    return 0;
}

/* The host's own view. */
static const char *here(const char *name)
{
    static char path[2][256];
    static unsigned turn;
    char *p = path[turn++ % 2];
    snprintf(p, sizeof path[0], "%s/%s", host.root, name);
    return p;
}

static void host_write(const char *name, const char *text)
{
    FILE *f = fopen(here(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void host_is(const char *name, const char *text)
{
    char buf[256] = {0};
    FILE *f = fopen(here(name), "r");
    assert_non_null(f);
    size_t n = fread(buf, 1, sizeof buf - 1, f);
    fclose(f);
    assert_int_equal(n, strlen(text));
    assert_string_equal(buf, text);
}

static struct file *opened(const char *path, uint32_t flags)
{
    struct file *f;
    assert_int_equal(t_open(path, flags, &f), 0);
    return f;
}

static void file_is(const char *path, const char *text)
{
    char buf[256] = {0};
    struct file *f = opened(path, O_RDONLY);
    assert_int_equal(t_read(f, buf, sizeof buf), strlen(text));
    assert_string_equal(buf, text);
    file_put(f);
}

static int stat_of(const char *path, struct file_stat *st)
{
    return fs_stat(&ctx, NULL, path, WALK_NOFOLLOW, st);
}

static void both_ways(void **state)
{
    struct file_stat st;
    (void)state;
    struct file *f = opened("/s/a", O_CREAT | O_EXCL | O_RDWR);
    assert_int_equal(t_write(f, "hello", 5), 5);
    host_is("a", "hello");
    host_write("a", "from the host");
    assert_int_equal(file_stat(f, &st), 0);
    assert_int_equal(st.size, 13);
    file_is("/s/a", "from the host");
    file_put(f);
    host_write("b", "new");
    file_is("/s/b", "new");
    assert_int_equal(unlink(here("b")), 0);
    assert_int_equal(stat_of("/s/b", &st), -ENOENT);
    assert_int_equal(mkdir(here("b"), 0755), 0);
    assert_int_equal(stat_of("/s/b", &st), 0);
    assert_true(S_ISDIR(st.mode));
    assert_int_equal(rename(here("a"), here("b/c")), 0);
    file_is("/s/b/c", "from the host");
    assert_int_equal(rename(here("b"), here("d")), 0);
    assert_int_equal(stat_of("/s/b/c", &st), -ENOENT);
    file_is("/s/d/c", "from the host");
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/d/c", false), 0);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/d", true), 0);
    assert_int_equal(access(here("d"), F_OK), -1);
}

static void names(void **state)
{
    struct file_stat st;
    char list[4096], link[16];
    struct path *p;
    (void)state;
    assert_int_equal(fs_make(&ctx, NULL, "/s/dir", S_IFDIR | 0755, 0), 0);
    assert_int_equal(fs_make(&ctx, NULL, "/s/dir", S_IFDIR | 0755, 0), -EEXIST);
    assert_int_equal(fs_symlink(&ctx, NULL, "/s/dir/link", "file"), 0);
    assert_int_equal(fs_readlink(&ctx, NULL, "/s/dir/link", link, sizeof link), 4);
    file_put(opened("/s/dir/link", O_CREAT | O_WRONLY)); /* makes what it leads to */
    assert_int_equal(stat_of("/s/dir/file", &st), 0);
    assert_int_equal(path_walk(&ctx, NULL, "/s/dir/file", 0, NULL, &p), 0);
    assert_int_equal(fs_link(&ctx, p, NULL, "/s/dir/twin"), 0);
    path_put(p);
    assert_int_equal(stat_of("/s/dir/file", &st), 0);
    assert_int_equal(st.nlink, 2);
    assert_int_equal(fs_rename(&ctx, NULL, "/s/dir/file", NULL, "/s/moved", 0), 0);
    assert_int_equal(fs_rename(&ctx, NULL, "/s/moved", NULL, "/s/dir/twin", RENAME_NO_REPLACE),
                     -EEXIST);
    assert_int_equal(fs_rename(&ctx, NULL, "/s/moved", NULL, "/s/x", RENAME_NO_REPLACE), -EINVAL);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/dir", true), -ENOTEMPTY);
    assert_int_equal(t_list("/s/dir", list), 0);
    assert_non_null(strstr(list, " twin"));
    assert_null(strstr(list, " file"));
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/dir/twin", false), 0);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/dir/link", false), 0);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/dir", true), 0);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/moved", false), 0);
}

/* A sink that is full after 50 entries. */
struct sink {
    unsigned room, found;
};

static int take_some(void *arg, const char *name, size_t len, uint64_t ino, unsigned type,
                     uint64_t next)
{
    struct sink *s = arg;
    (void)ino, (void)type, (void)next;
    if (!s->room)
        return 1;
    s->room--;
    s->found += len > 7 && !memcmp(name, "a-name-", 7);
    return 0;
}

static void many_names(void **state)
{
    char name[64];
    (void)state;
    mkdir(here("many"), 0755);
    for (unsigned i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "many/a-name-that-takes-some-room-%u", i);
        host_write(name, "");
    }
    struct file *f = opened("/s/many", O_RDONLY | O_DIRECTORY);
    struct sink s = {0};
    do {
        s.room = 50;
        assert_int_equal(f->ops->readdir(f, take_some, &s), 0);
    } while (!s.room);
    assert_int_equal(s.found, 700);
    assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
    s = (struct sink){.room = 1000};
    assert_int_equal(f->ops->readdir(f, take_some, &s), 0);
    assert_int_equal(s.found, 700);
    file_put(f);
    for (unsigned i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "many/a-name-that-takes-some-room-%u", i);
        assert_int_equal(unlink(here(name)), 0);
    }
    assert_int_equal(rmdir(here("many")), 0);
}

static void without_a_name(void **state)
{
    struct file_stat st;
    char buf[32] = {0};
    (void)state;
    struct file *f = opened("/s/gone", O_CREAT | O_RDWR);
    assert_int_equal(t_write(f, "0123456789", 10), 10);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/gone", false), 0);
    host_write("gone", "another file of that name");
    assert_int_equal(file_stat(f, &st), 0);
    assert_int_equal(st.size, 10);
    assert_int_equal(st.nlink, 0);
    assert_int_equal(f->ops->truncate(f, 4), 0);
    assert_int_equal(f->ops->truncate(f, 8), 0);
    assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
    assert_int_equal(t_read(f, buf, sizeof buf), 8);
    assert_memory_equal(buf, "0123\0\0\0\0", 8);
    host_is("gone", "another file of that name");
    struct file *g = opened("/s/gone", O_RDWR);
    assert_int_equal(unlink(here("gone")), 0);
    host_write("gone", "third"); /* maybe under the same number */
    assert_int_equal(file_stat(g, &st), 0);
    assert_int_equal(t_read(g, buf, 7), 7);
    assert_memory_equal(buf, "another", 7);
    file_put(f);
    file_put(g);
    file_is("/s/gone", "third");
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/gone", false), 0);
}

static void large_content(void **state)
{
    const size_t n = 1500001;
    char *out = malloc(n), *in = malloc(n + 1);
    (void)state;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(i * 31 + i / 255);
    struct file *f = opened("/s/large", O_CREAT | O_RDWR);
    assert_int_equal(t_write(f, out, n), n);
    assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
    assert_int_equal(t_read(f, in, n + 1), n);
    assert_memory_equal(out, in, n);
    assert_int_equal(t_read(f, in, 1), 0);
    assert_int_equal(vnode_read_kernel(f->vnode, in, n, 1), n - 1); /* by the page cache */
    assert_memory_equal(out + 1, in, n - 1);
    file_put(f);
    struct stat st;
    assert_int_equal(stat(here("large"), &st), 0);
    assert_int_equal(st.st_size, n);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/large", false), 0);
    free(out);
    free(in);
}

static void appending(void **state)
{
    (void)state;
    struct file *f = opened("/s/log", O_CREAT | O_WRONLY | O_APPEND);
    assert_int_equal(t_write(f, "one\n", 4), 4);
    FILE *h = fopen(here("log"), "a");
    fputs("two\n", h);
    fflush(h);
    assert_int_equal(t_write(f, "three\n", 6), 6);
    fputs("four\n", h);
    fclose(h);
    host_is("log", "one\ntwo\nthree\nfour\n");
    file_set_flags(f, 0);
    assert_int_equal(f->pos, 14);
    assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
    assert_int_equal(t_write(f, "ONE", 3), 3); /* O_APPEND was taken back */
    host_is("log", "ONE\ntwo\nthree\nfour\n");
    file_put(f);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/log", false), 0);
}

/* A mapping's way: a page that is changed, written back, and read again when the host writes. */
static void mapped(void **state)
{
    struct vm_object *obj;
    struct page *p;
    struct file_stat st;
    (void)state;
    host_write("map", "0123456789");
    struct file *f = opened("/s/map", O_RDWR);
    assert_int_equal(f->ops->mmap(f, &obj), 0);
    assert_int_equal(obj->ops->get_page(obj, 0, true, &p), 0);
    assert_memory_equal(page_address(p), "0123456789\0\0", 12);
    memcpy(page_address(p), "abc", 3);
    obj->ops->dirty_page(obj, p);
    page_put(p);
    char buf[16];
    assert_int_equal(t_read(f, buf, 16), 10); /* writes it first */
    assert_memory_equal(buf, "abc3456789", 10);
    host_is("map", "abc3456789");
    assert_int_equal(file_seek(f, 5, SEEK_SET), 5);
    assert_int_equal(t_write(f, "WXYZ", 4), 4); /* is in the page at once */
    assert_int_equal(obj->ops->get_page(obj, 0, false, &p), 0);
    assert_memory_equal(page_address(p), "abc34WXYZ9", 10);
    page_put(p);
    host_write("map", "the host's, longer");
    assert_int_equal(file_stat(f, &st), 0);
    assert_int_equal(obj->ops->get_page(obj, 0, false, &p), 0);
    assert_memory_equal(page_address(p), "the host's, longer\0", 19);
    page_put(p);
    assert_int_equal(obj->ops->get_page(obj, 1, false, &p), -EFAULT);
    obj->ops->put(obj);
    file_put(f);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/map", false), 0);
}

static void attributes(void **state)
{
    char buf[64];
    struct path *p;
    struct file_stat st;
    (void)state;
    host_write("x", "");
    assert_int_equal(path_walk(&ctx, NULL, "/s/x", 0, NULL, &p), 0);
    struct vnode_attr a = {.mask = ATTR_MODE, .mode = 0604};
    assert_int_equal(fs_setattr(&ctx, p->vnode, &a), 0);
    assert_int_equal(stat_of("/s/x", &st), 0);
    assert_int_equal(st.mode, S_IFREG | 0604);
    int err = fs_xattr_set(&ctx, p->vnode, "user.k", "value", 5, 0);
    assert_true(err == 0 || err == -EOPNOTSUPP); /* not every /tmp has them */
    if (!err) {
        assert_int_equal(fs_xattr_get(&ctx, p->vnode, "user.k", NULL, 0), 5);
        assert_int_equal(fs_xattr_get(&ctx, p->vnode, "user.k", buf, 4), -ERANGE);
        assert_int_equal(fs_xattr_get(&ctx, p->vnode, "user.k", buf, sizeof buf), 5);
        assert_memory_equal(buf, "value", 5);
    }
    path_put(p);
    assert_int_equal(fs_unlink(&ctx, NULL, "/s/x", false), 0);
}

/* Everything that asks the server something; what it answers is not looked at. */
static void use_all(void)
{
    char buf[6000], list[4096];
    struct file_stat st;
    struct file *f;
    struct vm_object *obj;
    struct page *page;
    struct path *p;
    fs_make(&ctx, NULL, "/s/u", S_IFDIR | 0755, 0);
    fs_symlink(&ctx, NULL, "/s/u/l", "f");
    fs_readlink(&ctx, NULL, "/s/u/l", buf, sizeof buf);
    if (!t_open("/s/u/f", O_CREAT | O_RDWR, &f)) {
        t_write(f, buf, sizeof buf);
        file_seek(f, 100, SEEK_SET);
        t_read(f, buf, sizeof buf);
        file_stat(f, &st);
        if (f->ops->mmap && !f->ops->mmap(f, &obj)) {
            if (!obj->ops->get_page(obj, 0, true, &page)) {
                obj->ops->dirty_page(obj, page);
                page_put(page);
            }
            obj->ops->put(obj);
        }
        f->ops->fsync(f, false);
        f->ops->truncate(f, 5000);
        file_put(f);
    }
    if (!path_walk(&ctx, NULL, "/s/u/f", 0, NULL, &p)) {
        fs_link(&ctx, p, NULL, "/s/u/g");
        fs_xattr_set(&ctx, p->vnode, "user.k", "value", 5, 0);
        fs_xattr_get(&ctx, p->vnode, "user.k", buf, sizeof buf);
        fs_xattr_list(&ctx, p->vnode, buf, sizeof buf);
        path_put(p);
    }
    t_list("/s/u", list);
    struct fs_stats stats;
    if (!path_walk(&ctx, NULL, "/s", 0, NULL, &p)) {
        p->vnode->fs->ops->statfs(p->vnode->fs, &stats);
        path_put(p);
    }
    fs_rename(&ctx, NULL, "/s/u/f", NULL, "/s/u/h", 0);
    fs_unlink(&ctx, NULL, "/s/u/g", false);
    fs_unlink(&ctx, NULL, "/s/u/h", false);
    fs_unlink(&ctx, NULL, "/s/u/l", false);
    fs_unlink(&ctx, NULL, "/s/u", true);
}

static void host_clean(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/u", host.root);
    assert_int_equal(system(command), 0);
    host.spoil = NULL;
    host.spoil_type = 0;
}

static unsigned seed;

static unsigned next_random(void)
{
    seed = seed * 1103515245u + 12345u;
    return seed >> 8;
}

/* Some bytes change, or the length does. */
static uint32_t spoil_bytes(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)type;
    if (next_random() % 4)
        return len;
    switch (next_random() % 4) {
    case 0:
        return next_random() % (room + 1);
    case 1:
        answer[next_random() % 7] = (uint8_t)next_random();
        return len;
    default:
        for (unsigned i = next_random() % 4; i < 5; i++)
            answer[7 + next_random() % (MAX(len, 8u) - 7)] = (uint8_t)next_random();
        return len;
    }
}

static void nonsense_at_random(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        seed = i;
        host.spoil = spoil_bytes;
        use_all();
        host_clean();
    }
    /* A fid that it lied about stays lost; what counts is that we live. */
}

static uint32_t cut_by;

static uint32_t spoil_cut(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)type, (void)answer, (void)room;
    return len > cut_by ? len - cut_by : 0;
}

static uint32_t spoil_tag(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)type, (void)room;
    answer[5] ^= 1;
    return len;
}

static uint32_t spoil_type(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)room;
    answer[4] = type;
    return len;
}

static uint32_t spoil_size(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)type, (void)room;
    answer[1]++;
    return len;
}

static uint32_t spoil_count(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)type, (void)room;
    answer[10] = 0x7f; /* of Rread, Rreaddir, Rwrite: gigabytes */
    return len;
}

/* A name with a slash, after which the kernel must not go. */
static uint32_t spoil_entry(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)type, (void)room;
    if (len > 11 + 24)
        answer[11 + 24] = '/';
    return len;
}

typedef uint32_t spoil_fn(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room);

static void answer_is_bad(uint8_t type, spoil_fn *spoil, const char *path, char what)
{
    char buf[64], list[4096];
    struct file_stat st;
    struct file *f = NULL;
    int err = 0;
    if (what == 'r' || what == 'w')
        f = opened(path, O_RDWR);
    host.spoil = spoil;
    host.spoil_type = type;
    err = what == 's'   ? stat_of(path, &st)
          : what == 'r' ? (int)t_read(f, buf, sizeof buf)
          : what == 'w' ? (int)t_write(f, buf, sizeof buf)
          : what == 'l' ? (int)fs_readlink(&ctx, NULL, path, buf, sizeof buf)
                        : t_list(path, list);
    host.spoil = NULL;
    assert_int_equal(err, -EIO);
    if (f)
        file_put(f);
}

static void nonsense_in_each_place(void **state)
{
    static spoil_fn *const all[] = {spoil_tag, spoil_type, spoil_size};
    (void)state;
    mkdir(here("u"), 0755);
    host_write("u/f", "some text");
    assert_int_equal(symlink("f", here("u/l")), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        answer_is_bad(P9_TWALK, all[i], "/s/u/f", 's');
        answer_is_bad(P9_TGETATTR, all[i], "/s/u/f", 's');
        answer_is_bad(P9_TREAD, all[i], "/s/u/f", 'r');
        answer_is_bad(P9_TWRITE, all[i], "/s/u/f", 'w');
        answer_is_bad(P9_TREADLINK, all[i], "/s/u/l", 'l');
        answer_is_bad(P9_TREADDIR, all[i], "/s/u", 'd');
    }
    for (cut_by = 1; cut_by < 10; cut_by++) {
        answer_is_bad(P9_TWALK, spoil_cut, "/s/u/f", 's');
        answer_is_bad(P9_TGETATTR, spoil_cut, "/s/u/f", 's');
        answer_is_bad(P9_TREAD, spoil_cut, "/s/u/f", 'r');
    }
    answer_is_bad(P9_TREAD, spoil_count, "/s/u/f", 'r');
    answer_is_bad(P9_TWRITE, spoil_count, "/s/u/f", 'w');
    answer_is_bad(P9_TREADDIR, spoil_count, "/s/u", 'd');
    answer_is_bad(P9_TREADDIR, spoil_entry, "/s/u", 'd');
    host_clean();
}

static void memory_runs_out(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) {
        fake_mem_fail_after = i;
        use_all();
        fake_mem_fail_after = -1;
        host_clean();
    }
    both_ways(state);
}

static unsigned blocked;

static void signal_comes(void)
{
    /* First the time is over in which signals wait, then one comes. */
    fake_block_answer = blocked++ == 0 ? -ETIMEDOUT : -EINTR;
}

static void interrupted(void **state)
{
    struct file_stat st;
    (void)state;
    host_write("slow", "x");
    fake_block = signal_comes;
    blocked = 0;
    host.hold_type = P9_TGETATTR;
    host.drop = true;
    assert_int_equal(stat_of("/s/slow", &st), -ERESTARTSYS);
    assert_int_equal(blocked, 2);
    blocked = 0;
    host.hold_type = P9_TGETATTR;
    host.drop = false; /* it was too late to drop it */
    assert_int_equal(stat_of("/s/slow", &st), 0);
    assert_int_equal(st.size, 1);
    fake_block = NULL;
    assert_int_equal(unlink(here("slow")), 0);
}

static uint32_t spoil_version(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)type, (void)room;
    answer[len - 1] = 'u';
    return len;
}

static uint32_t spoil_msize(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)type, (void)room;
    answer[7] = 0, answer[8] = 1, answer[9] = 0, answer[10] = 0;
    return len;
}

static uint32_t spoil_msize_up(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room)
{
    (void)type, (void)room;
    answer[10] = 0x40;
    return len;
}

static void mounting(void **state)
{
    struct fake_p9 other;
    struct fs *fs;
    const char *why;
    (void)state;
    fake_p9_start(&other, "other");
    other.spoil_type = P9_TVERSION;
    other.spoil = spoil_version;
    assert_int_equal(p9_mount(&other.channel, 0, false, &fs), -EPROTONOSUPPORT);
    other.spoil = spoil_msize;
    assert_int_equal(p9_mount(&other.channel, 0, false, &fs), -EPROTONOSUPPORT);
    other.spoil = spoil_msize_up;
    assert_int_equal(p9_mount(&other.channel, 0, false, &fs), -EIO);
    other.spoil_type = P9_TATTACH;
    other.spoil = spoil_tag;
    assert_int_equal(p9_mount(&other.channel, 0, false, &fs), -EIO);
    fake_p9_end(&other);
    fake_p9_start(&other, "other");
    assert_int_equal(p9_mount(&other.channel, 0, true, &fs), 0);
    p9_unmount(fs);
    assert_int_equal(other.fids, 0);
    fake_p9_end(&other);
    assert_int_equal(share_mount("nobody:/t", 0, &why), -ENODEV);
    assert_int_equal(share_mount("share0", 0, &why), -EINVAL);
    assert_int_equal(share_mount("a-name-that-is-longer-than-any-tag-could-ever-be:/t", 0, &why),
                     -EINVAL);
}

/* What was opened has been given back: the names in the cache keep one fid each at most. */
static void fids_are_given_back(void **state)
{
    (void)state;
    while (path_cache_shrink(SIZE_MAX))
        ;
    unsigned before = host.fids;
    for (unsigned i = 0; i < 50; i++)
        use_all();
    while (path_cache_shrink(SIZE_MAX))
        ;
    assert_int_equal(host.fids, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(names),
        cmocka_unit_test(many_names),
        cmocka_unit_test(without_a_name),
        cmocka_unit_test(large_content),
        cmocka_unit_test(appending),
        cmocka_unit_test(mapped),
        cmocka_unit_test(attributes),
        cmocka_unit_test(fids_are_given_back),
        cmocka_unit_test(interrupted),
        cmocka_unit_test(mounting),
        cmocka_unit_test(nonsense_in_each_place),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(nonsense_at_random),
    };
    return cmocka_run_group_tests(tests, boot, end);
}
