/* SPDX-License-Identifier: Apache-2.0 */
/* Is an image what was built?: see image_verify.h. */
#include "image_verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "digest.h"
#include "ext4file.h"
#include "gpt_table.h"
#include "hostpath.h"
#include "image_boot.h"
#include "minisign.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "outfile.h"

#define SIGNATURE_MAX 8192

static char *signature_path(const char *path)
{
    return alloc_printf("%s.minisig", path);
}

bool image_signed(const char *path)
{
    char *file = signature_path(path);
    bool there = access(file, F_OK) == 0;
    free(file);
    return there;
}

bool image_sign_ready(const char *key, struct err *err)
{
    struct minisign_secret secret;
    bool ok = minisign_secret_read(&secret, key, err);
    if (ok)
        minisign_forget(&secret);
    return ok;
}

bool image_sign(const char *path, const char *format, const char *key, struct err *err)
{
    struct minisign_secret secret;
    unsigned char digest[DIGEST_SIZE];
    char hex[DIGEST_TEXT];
    if (!minisign_secret_read(&secret, key, err))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = (fd >= 0 && digest_of_fd(fd, digest)) || err_errno(err, "read", path);
    if (ok) {
        digest_text(digest, hex);
        char *comment =
            alloc_printf("file:%s format:%s sha256:%s", path_basename(path), format, hex);
        char *text = minisign_sign_fd(&secret, fd, comment), *file = signature_path(path);
        ok = text ? outfile_text(file, text, err) : err_errno(err, "read", path);
        free(comment);
        free(text);
        free(file);
    }
    minisign_forget(&secret);
    if (fd >= 0)
        close(fd);
    return ok;
}

bool image_signature_verify(const char *path, const char *key, struct err *err)
{
    struct minisign_key k;
    char *file = signature_path(path);
    char *text = access(key, F_OK) == 0 ? path_read(key, SIGNATURE_MAX, NULL, err) : NULL;
    char *signature = minisign_key_parse(&k, text ? text : key, err)
                          ? path_read(file, SIGNATURE_MAX, NULL, err)
                          : NULL;
    int fd = signature ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    bool ok = fd >= 0 && minisign_verify_fd(&k, signature, fd, path, err);
    if (signature && fd < 0)
        err_errno(err, "open", path);
    if (fd >= 0)
        close(fd);
    free(signature);
    free(text);
    free(file);
    return ok;
}

struct checking {
    const char *path;
    int fd;
    uint64_t size;
    bool disk;
    bool quiet; /* what is sound is not told */
    uint8_t head[(size_t)GPT_HEAD_SECTORS * GPT_SECTOR];
    struct err *err;
};

static bool damaged(const struct checking *c, const char *what)
{
    return err_set(c->err, OPS_EXIT_FAILED, "do not start it: build it again, or take a copy of it",
                   "%s: %s", c->path, what);
}

/* Both partition tables, and whether all of the disk is there. */
static bool table_check(struct checking *c)
{
    uint8_t tail[(size_t)GPT_TAIL_SECTORS * GPT_SECTOR];
    if (pread(c->fd, c->head, sizeof c->head, 0) != (ssize_t)sizeof c->head)
        return true; /* too short for one: no disk */
    bool first = gpt_present(c->head);
    bool second =
        c->size >= sizeof tail && c->size % GPT_SECTOR == 0 &&
        pread(c->fd, tail, sizeof tail, (off_t)(c->size - sizeof tail)) == (ssize_t)sizeof tail &&
        gpt_backup_present(tail, c->size / GPT_SECTOR);
    c->disk = first || second;
    if (!c->disk && gpt_marked(c->head))
        return damaged(c, "both partition tables are damaged");
    if (!c->disk)
        return true;
    if (!first)
        return damaged(c, "the first partition table is damaged");
    if (gpt_sectors(c->head) * GPT_SECTOR != c->size) {
        char *text = alloc_printf("it has %llu bytes, not %llu", (unsigned long long)c->size,
                                  (unsigned long long)gpt_sectors(c->head) * GPT_SECTOR);
        damaged(c, text);
        free(text);
        return false;
    }
    if (!second)
        return damaged(c, "the second partition table is damaged");
    if (!c->quiet)
        puts("partitions   sound");
    return true;
}

static bool part_check(const struct checking *c, const char *name, const unsigned char *now,
                       const unsigned char *built, const char *why)
{
    if (memcmp(now, built, DIGEST_SIZE) == 0)
        return c->quiet || printf("%-12s as built\n", name) > 0;
    char *text = alloc_printf("its %s is not as it was built%s", name, why);
    damaged(c, text);
    free(text);
    return false;
}

static bool range_check(const struct checking *c, const char *name, uint64_t from, uint64_t size,
                        const unsigned char *built, const char *why)
{
    unsigned char digest[DIGEST_SIZE];
    if (!image_digest_range(c->fd, from, size, digest))
        return err_errno(c->err, "read", c->path);
    return part_check(c, name, digest, built, why);
}

static bool boot_check(const struct checking *c, const struct image_boot *b)
{
    return part_check(c, "kernel", b->kernel_digest, b->built.kernel, "") &&
           part_check(c, "manifest", b->manifest_digest, b->built.manifest, "");
}

static bool parts_check(const struct checking *c, const struct image_boot *b)
{
    struct gpt_partition boot, root;
    uint64_t sectors = c->size / GPT_SECTOR;
    if (!gpt_find(c->head, sectors, OPS_BOOT_LABEL, &boot) ||
        !gpt_find(c->head, sectors, OPS_ROOT_LABEL, &root))
        return damaged(c, "a partition is missing");
    return boot_check(c, b) &&
           range_check(c, "loader", IMAGE_LOADER, boot.first * GPT_SECTOR - IMAGE_LOADER,
                       b->built.loader, "") &&
           range_check(c, "root", root.first * GPT_SECTOR,
                       (root.last - root.first + 1) * GPT_SECTOR, b->built.root,
                       ": a machine or `ops image` has written to it, or it is damaged");
}

/* Opens the root, whose superblock must hold. */
static bool root_check(const struct checking *c)
{
    struct ext4file f;
    if (!ext4file_open(&f, c->path, OPS_ROOT_LABEL, EXT4FILE_READ, c->err))
        return false;
    ext4file_abandon(&f);
    return true;
}

static bool checking_begin(struct checking *c)
{
    struct stat st;
    c->fd = open(c->path, O_RDONLY | O_CLOEXEC);
    bool ok = (c->fd >= 0 && fstat(c->fd, &st) == 0) || err_errno(c->err, "open", c->path);
    c->size = ok ? (uint64_t)st.st_size : 0;
    return ok && table_check(c);
}

static void checking_end(struct checking *c)
{
    if (c->fd >= 0)
        close(c->fd);
}

bool image_sound(const char *path, struct image_boot *b, struct err *err)
{
    struct checking c = {.path = path, .err = err, .quiet = true};
    bool disk;
    *b = (struct image_boot){0};
    bool ok = checking_begin(&c);
    if (ok && !c.disk)
        ok = damaged(&c, "it is too short to be a disk");
    ok = ok && image_boot_read(path, b, &disk, err) && (!b->recorded || boot_check(&c, b)) &&
         root_check(&c);
    checking_end(&c);
    return ok;
}

bool image_parts_verify(const char *path, bool *disk, struct err *err)
{
    struct checking c = {.path = path, .err = err};
    struct image_boot b = {0};
    bool ok = checking_begin(&c);
    *disk = c.disk;
    if (ok && c.disk) {
        ok = image_boot_read(path, &b, disk, err);
        if (ok && !b.recorded)
            ok = err_set(err, OPS_EXIT_FAILED, "build it again", "%s holds no digests of its parts",
                         path);
        ok = ok && parts_check(&c, &b) && root_check(&c);
    }
    image_boot_free(&b);
    checking_end(&c);
    return ok;
}
