/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk held when it was built: see image_digest.h. */
#include "image_digest.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "strlist.h"

#define BLOCK ((size_t)64 << 10)

static void line_add(struct buf *to, const char *key, const unsigned char digest[DIGEST_SIZE])
{
    char text[DIGEST_TEXT];
    digest_text(digest, text);
    buf_addf(to, "%s=%s\n", key, text);
}

void image_digests_write(const struct image_digests *d, struct buf *to)
{
    line_add(to, "kernel", d->kernel);
    line_add(to, "manifest", d->manifest);
    line_add(to, "loader", d->loader);
    line_add(to, "root", d->root);
    if (d->efi_signed)
        buf_addf(to, "efi=signed\n");
}

bool image_digests_read(struct image_digests *d, const char *text)
{
    struct {
        const char *key;
        unsigned char *digest;
        bool there;
    } lines[] = {{"kernel=", d->kernel, false},
                 {"manifest=", d->manifest, false},
                 {"loader=", d->loader, false},
                 {"root=", d->root, false}};
    struct strlist all = {0};
    bool ok = true;
    d->efi_signed = false;
    strlist_split(&all, text, "\n");
    for (size_t i = 0; ok && i < all.count; i++) {
        ok = strcmp(all.items[i], "efi=signed") == 0;
        d->efi_signed = d->efi_signed || ok;
        for (size_t k = 0; !ok && k < sizeof lines / sizeof lines[0]; k++) {
            size_t n = strlen(lines[k].key);
            if (strncmp(all.items[i], lines[k].key, n) == 0)
                ok = lines[k].there = digest_parse(all.items[i] + n, lines[k].digest);
        }
    }
    strlist_free(&all);
    return ok && lines[0].there && lines[1].there && lines[2].there && lines[3].there;
}

static void number_update(crypto_hash_sha256_state *state, uint64_t v)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(v >> 8 * i);
    crypto_hash_sha256_update(state, bytes, sizeof bytes);
}

/* Reads all of a block; false: errno says why. */
static bool block_read(int fd, unsigned char *to, size_t n, uint64_t offset)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, to + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

/* The next block of the range from `at` that may not be a hole. */
static uint64_t data_next(int fd, uint64_t offset, uint64_t at, uint64_t size)
{
    off_t data = lseek(fd, (off_t)(offset + at), SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? size : at;
    uint64_t next = ((uint64_t)data - offset) / BLOCK * BLOCK;
    return next > at ? next : at;
}

bool image_digest_range(int fd, uint64_t offset, uint64_t size, unsigned char digest[DIGEST_SIZE])
{
    crypto_hash_sha256_state state;
    unsigned char *block = alloc_zero(BLOCK), *zero = alloc_zero(BLOCK);
    bool ok = true;
    crypto_hash_sha256_init(&state);
    number_update(&state, size);
    for (uint64_t at = data_next(fd, offset, 0, size); ok && at < size;
         at = data_next(fd, offset, at + BLOCK, size)) {
        size_t n = size - at < BLOCK ? (size_t)(size - at) : BLOCK;
        ok = block_read(fd, block, n, offset + at);
        if (ok && memcmp(block, zero, n) != 0) {
            number_update(&state, at);
            crypto_hash_sha256_update(&state, block, n);
        }
    }
    crypto_hash_sha256_final(&state, digest);
    free(block);
    free(zero);
    return ok;
}
