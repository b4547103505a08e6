/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel and manifest of a disk: see image_boot.h. */
#include "image_boot.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "ext4copy.h"
#include "ext4file.h"
#include "manifest_text.h"
#include "ops/exit.h"
#include "ops/image.h"

#define KERNEL_MAX  (64u << 20)
#define KERNEL_MARK "Linux version " /* stands in every kernel, for /proc/version */

struct reading {
    struct buf *to;
    size_t limit;
};

static bool take(void *context, const char *bytes, size_t n, struct err *err)
{
    struct reading *r = context;
    if (r->to->size + n > r->limit)
        return err_set(err, OPS_EXIT_FAILED, NULL, "a file of the boot partition is too large");
    buf_add(r->to, bytes, n);
    return true;
}

static bool file_read(struct ext4file *f, const char *path, size_t limit, struct buf *to,
                      struct err *err)
{
    struct reading r = {to, limit};
    ext2_ino_t ino;
    buf_add(to, "", 0);
    return ext4file_lookup(f, path, true, &ino, err) && ext4file_read(f, ino, take, &r, err);
}

/* "6.1.0-ops (ops 0.1.0)" */
static char *kernel_version(const struct buf *kernel)
{
    const char *at = memmem(kernel->data, kernel->size, KERNEL_MARK, strlen(KERNEL_MARK));
    if (!at)
        return NULL;
    at += strlen(KERNEL_MARK);
    size_t rest = kernel->size - (size_t)(at - kernel->data), n = 0;
    while (n < rest && n < 80 && at[n] >= ' ' && at[n] < 127 && at[n] != '#')
        n++;
    while (n && at[n - 1] == ' ')
        n--;
    return alloc_bytes(at, n);
}

bool image_boot_read(const char *file, struct image_boot *b, bool *disk, struct err *err)
{
    struct ext4file f;
    struct buf kernel = {0};
    *b = (struct image_boot){0};
    if (!ext4file_locate(&f, file, OPS_BOOT_LABEL, EXT4FILE_READ, err))
        return false;
    *disk = f.disk;
    bool ok = !f.disk || (ext4file_attach(&f, err) &&
                          file_read(&f, "/manifest", OPS_MANIFEST_MAX, &b->manifest, err) &&
                          file_read(&f, "/kernel.elf", KERNEL_MAX, &kernel, err));
    if (ok && f.disk)
        b->kernel = kernel_version(&kernel);
    ext4file_abandon(&f);
    buf_free(&kernel);
    return ok;
}

void image_boot_free(struct image_boot *b)
{
    buf_free(&b->manifest);
    free(b->kernel);
    *b = (struct image_boot){0};
}

/* Is the line at `at` one of the key? */
static bool line_is(const char *at, const char *key)
{
    size_t n = strlen(key);
    return strncmp(at, key, n) == 0 && at[n] == '=';
}

void image_boot_values(const struct image_boot *b, const char *key, struct strlist *values)
{
    const char *at = b->manifest.data;
    while (at && *at) {
        size_t n = strcspn(at, "\n");
        if (line_is(at, key)) {
            char *value = alloc_bytes(at + strlen(key) + 1, n - strlen(key) - 1);
            manifest_unescape(value);
            strlist_add(values, value);
            free(value);
        }
        at += n + (at[n] == '\n');
    }
}

bool image_boot_replace(const char *file, struct image_boot *b, const char *key,
                        const struct strlist *values, struct err *err)
{
    struct ext4file f;
    struct buf text = {0};
    for (const char *at = b->manifest.data; at && *at;) {
        size_t n = strcspn(at, "\n");
        n += at[n] == '\n';
        if (!line_is(at, key))
            buf_add(&text, at, n);
        at += n;
    }
    for (size_t i = 0; i < values->count; i++) {
        buf_addf(&text, "%s=", key);
        manifest_escape(&text, values->items[i]);
        buf_add(&text, "\n", 1);
    }
    bool ok =
        text.size <= OPS_MANIFEST_MAX ||
        err_set(err, OPS_EXIT_USAGE, NULL, "the environment is too long: %zu bytes where %u fit",
                text.size, OPS_MANIFEST_MAX);
    if (ok && (ok = ext4file_open(&f, file, OPS_BOOT_LABEL, EXT4FILE_WRITE, err))) {
        ok = ext4copy_text(&f, "/manifest", text.data, err);
        ext4file_abandon(&f);
    }
    buf_free(&b->manifest);
    b->manifest = text;
    return ok;
}
