/* SPDX-License-Identifier: Apache-2.0 */
/* All files of an image: see image_files.h. */
#include "image_files.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

struct summing {
    struct sha1 sha1;
    crypto_hash_sha256_state sha256;
};

static void sums_begin(struct summing *s)
{
    sha1_begin(&s->sha1);
    crypto_hash_sha256_init(&s->sha256);
}

static bool sums_add(void *context, const char *bytes, size_t n, struct err *err)
{
    static const char zeros[4096];
    struct summing *s = context;
    (void)err;
    while (n) {
        size_t piece = bytes || n < sizeof zeros ? n : sizeof zeros;
        sha1_add(&s->sha1, bytes ? bytes : zeros, piece);
        crypto_hash_sha256_update(&s->sha256, (const void *)(bytes ? bytes : zeros), piece);
        n -= piece;
    }
    return true;
}

static void sums_end(struct summing *s, struct image_file *file)
{
    sha1_end(&s->sha1, file->sha1);
    crypto_hash_sha256_final(&s->sha256, file->sha256);
}

static struct image_file *file_add(struct image_files *l, const char *path, const char *source,
                                   uint64_t size)
{
    if (l->count % 64 == 0)
        l->items = alloc_array(l->items, l->count + 64, sizeof *l->items);
    struct image_file *file = &l->items[l->count++];
    *file = (struct image_file){
        .path = alloc_string(path), .source = source ? alloc_string(source) : NULL, .size = size};
    return file;
}

struct walk {
    struct image_files *list;
    struct ext4file *f;
    bool digests;
    struct err *err;
};

static bool dir_walk(const struct walk *w, const char *dir, ext2_ino_t ino);

static bool name_walk(const struct walk *w, const char *dir, const struct ext4name *name)
{
    struct stat st;
    struct summing s;
    if (!ext4file_stat(w->f, name->ino, &st, w->err))
        return false;
    char *path = alloc_printf("%s/%s", dir, name->name);
    bool ok = true;
    if (S_ISDIR(st.st_mode)) {
        ok = dir_walk(w, path, name->ino);
    } else if (S_ISREG(st.st_mode)) {
        struct image_file *file = file_add(w->list, path, path, (uint64_t)st.st_size);
        sums_begin(&s);
        ok = !w->digests || ext4file_read(w->f, name->ino, sums_add, &s, w->err);
        sums_end(&s, file);
    }
    free(path);
    return ok;
}

static bool dir_walk(const struct walk *w, const char *dir, ext2_ino_t ino)
{
    struct ext4name *names;
    if (!ext4file_names(w->f, ino, &names, w->err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && names[i].name; i++)
        ok = name_walk(w, dir, &names[i]);
    ext4file_names_free(names);
    return ok;
}

bool image_files_of_root(struct image_files *l, struct ext4file *f, bool digests, struct err *err)
{
    const struct walk w = {.list = l, .f = f, .digests = digests, .err = err};
    *l = (struct image_files){0};
    return dir_walk(&w, "", EXT2_ROOT_INO);
}

static bool source_sum(struct image_file *file, struct err *err)
{
    static char bytes[65536];
    struct summing s;
    ssize_t n = -1;
    int fd = open(file->source, O_RDONLY | O_CLOEXEC);
    sums_begin(&s);
    while (fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0)
        sums_add(&s, bytes, (size_t)n, err);
    if (fd >= 0)
        close(fd);
    sums_end(&s, file);
    return n == 0 || err_errno(err, "read", file->source);
}

bool image_files_of_tree(struct image_files *l, const struct tree *t, struct err *err)
{
    struct tree_entry **all = tree_entries(t);
    struct summing s;
    bool ok = true;
    *l = (struct image_files){0};
    for (size_t i = 0; ok && all[i]; i++) {
        const struct tree_entry *e = all[i];
        if (e->kind != TREE_FILE)
            continue;
        struct image_file *file = file_add(l, e->path, e->source, (uint64_t)e->st.st_size);
        if (e->source) {
            ok = source_sum(file, err);
        } else {
            sums_begin(&s);
            sums_add(&s, e->text, (size_t)e->st.st_size, err);
            sums_end(&s, file);
        }
    }
    free(all);
    return ok;
}

void image_files_free(struct image_files *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i].path);
        free(l->items[i].source);
    }
    free(l->items);
    *l = (struct image_files){0};
}
