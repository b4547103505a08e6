/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel and manifest of a disk: see image_boot.h. */
#include "image_boot.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "ext4copy.h"
#include "ext4file.h"
#include "gzip.h"
#include "manifest_text.h"
#include "ops/exit.h"
#include "ops/image.h"

#define KERNEL_MAX  (64u << 20)
#define DIGESTS_MAX 4096
#define KERNEL_MARK "Linux version " /* stands in every kernel, for /proc/version */

struct reading {
    struct buf *to;
    size_t limit;
};

static bool take(void *context, const char *bytes, size_t n, struct err *err)
{
    static const char zeros[4096];
    struct reading *r = context;
    if (r->to->size + n > r->limit)
        return err_set(err, OPS_EXIT_FAILED, NULL, "a file of the boot partition is too large");
    for (size_t piece; !bytes && n; n -= piece) {
        piece = n < sizeof zeros ? n : sizeof zeros;
        buf_add(r->to, zeros, piece);
    }
    if (bytes)
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

/* One that may be packed. */
static bool packed_read(struct ext4file *f, const char *path, size_t limit, struct buf *to,
                        struct err *err)
{
    struct buf packed = {0};
    char *name = alloc_printf("%s of the boot partition", path + 1);
    buf_add(to, "", 0);
    bool ok = file_read(f, path, limit, &packed, err) && gzip_unpack(to, &packed, limit, name, err);
    buf_free(&packed);
    free(name);
    return ok;
}

/* A disk of an older ops has none. */
static bool digests_read(struct ext4file *f, struct image_boot *b, struct err *err)
{
    struct buf text = {0};
    struct err none = {0};
    ext2_ino_t ino;
    bool ok = true, there = ext4file_lookup(f, OPS_DIGESTS_PATH, true, &ino, &none);
    err_free(&none);
    if (there) {
        ok = file_read(f, OPS_DIGESTS_PATH, DIGESTS_MAX, &text, err) &&
             (image_digests_read(&b->built, text.data) ||
              err_set(err, OPS_EXIT_FAILED, "build the image again",
                      "the digests in the boot partition of %s are damaged", f->path));
        b->recorded = ok;
    }
    buf_free(&text);
    return ok;
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
                          packed_read(&f, OPS_MANIFEST_PATH, OPS_MANIFEST_MAX, &b->manifest, err) &&
                          packed_read(&f, OPS_KERNEL_PATH, KERNEL_MAX, &kernel, err) &&
                          digests_read(&f, b, err));
    if (ok && f.disk) {
        b->kernel = kernel_version(&kernel);
        digest_of_bytes(kernel.data, kernel.size, b->kernel_digest);
        digest_of_bytes(b->manifest.data, b->manifest.size, b->manifest_digest);
    }
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

void image_boot_seal(struct buf *to, const struct buf *manifest)
{
    const size_t magic = sizeof OPS_MANIFEST_MAGIC, mark = sizeof OPS_MANIFEST_SEAL - 1;
    const char *rest = manifest->data + magic, *end = manifest->data + manifest->size;
    if ((size_t)(end - rest) > mark && strncmp(rest, OPS_MANIFEST_SEAL, mark) == 0)
        rest = strchr(rest, '\n') + 1; /* the old one */
    uint32_t sum = ~ext2fs_crc32c_le(UINT32_MAX, (const unsigned char *)rest, (size_t)(end - rest));
    buf_addf(to, OPS_MANIFEST_MAGIC "\n" OPS_MANIFEST_SEAL "%08x\n", sum);
    buf_add(to, rest, (size_t)(end - rest));
}

static bool boot_put(const char *file, const char *path, const struct buf *bytes, struct err *err)
{
    struct ext4file f;
    if (!ext4file_open(&f, file, OPS_BOOT_LABEL, EXT4FILE_WRITE, err))
        return false;
    bool ok = ext4copy_bytes(&f, path, bytes->data, bytes->size, err);
    ext4file_abandon(&f);
    return ok;
}

/* Writes manifest and digests. */
static bool manifest_put(const char *file, struct image_boot *b, const struct buf *text,
                         struct err *err)
{
    struct buf packed = {0}, digests = {0};
    gzip_pack(&packed, text->data, text->size);
    digest_of_bytes(text->data, text->size, b->built.manifest);
    image_digests_write(&b->built, &digests);
    bool ok = boot_put(file, OPS_MANIFEST_PATH, &packed, err) &&
              (!b->recorded || boot_put(file, OPS_DIGESTS_PATH, &digests, err));
    buf_free(&packed);
    buf_free(&digests);
    return ok;
}

bool image_boot_replace(const char *file, struct image_boot *b, const char *key,
                        const struct strlist *values, struct err *err)
{
    struct buf text = {0}, sealed = {0};
    if (b->built.efi_signed)
        return err_set(err, OPS_EXIT_FAILED, "build it again, with its --efi-key",
                       "the manifest of %s is part of the program that is signed for Secure Boot",
                       file);
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
    image_boot_seal(&sealed, &text);
    bool ok =
        sealed.size <= OPS_MANIFEST_MAX ||
        err_set(err, OPS_EXIT_USAGE, NULL, "the environment is too long: %zu bytes where %u fit",
                sealed.size, OPS_MANIFEST_MAX);
    ok = ok && manifest_put(file, b, &sealed, err);
    buf_free(&text);
    buf_free(&b->manifest);
    b->manifest = sealed;
    return ok;
}
