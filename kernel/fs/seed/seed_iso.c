/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ISO 9660 (ECMA-119) with names by Joliet where the disk has them, else by Rock Ridge (IEEE P1282,
 * its NM entries), else the plain ones, in which `-` may have become `_`.
 */
#include <errno.h>

#include "fs/seed/seed.h"
#include "lib/string.h"

#define BLOCK            2048u
#define DESCRIPTOR_FIRST 16u
#define DESCRIPTOR_LAST  32u
#define RECORD_HEAD      33u
#define DIRECTORY_MAX    (256u << 10)
#define FLAG_DIRECTORY   2
#define NAME_MAX_LEN     128u

enum { PRIMARY = 1, SUPPLEMENTARY = 2, TERMINATOR = 255 };

static void record_take(const uint8_t *r, struct seed_file *f)
{
    f->at = seed_le32(r + 2);
    f->size = seed_le32(r + 10);
    f->directory = r[25] & FLAG_DIRECTORY;
}

/* The name that Rock Ridge's entries behind the record's own give; 0: none. */
static size_t rock_name(const uint8_t *r, size_t at, size_t end, char name[NAME_MAX_LEN])
{
    size_t n = 0;
    while (at + 4 <= end && r[at + 2] >= 4 && r[at + 2] <= end - at) {
        if (r[at] == 'N' && r[at + 1] == 'M')
            for (size_t i = 5; i < r[at + 2] && n < NAME_MAX_LEN; i++)
                name[n++] = (char)r[at + i];
        at += r[at + 2];
    }
    return n;
}

static size_t record_name(const struct seed *s, const uint8_t *r, char name[NAME_MAX_LEN])
{
    size_t len = r[32], n = 0, step = s->iso.joliet ? 2 : 1;
    if (RECORD_HEAD + len > r[0])
        return 0;
    if (!s->iso.joliet)
        n = rock_name(r, RECORD_HEAD + len + !(len % 2), r[0], name);
    if (n)
        return n;
    const uint8_t *p = r + RECORD_HEAD;
    for (size_t i = 0; i + step <= len && n < NAME_MAX_LEN; i += step) {
        char c = (char)p[i + step - 1];
        if (c == ';')
            break;
        name[n++] = (char)(c == '_' && step == 1 ? '-' : c);
    }
    return n && name[n - 1] == '.' ? n - 1 : n;
}

static int iso_find(struct seed *s, const struct seed_file *dir, const char *name, size_t len,
                    struct seed_file *out)
{
    const struct seed_file *d = dir ? dir : &s->iso.root;
    uint8_t r[256];
    char text[NAME_MAX_LEN];
    for (uint64_t at = 0; at < MIN(d->size, (uint64_t)DIRECTORY_MAX);) {
        uint64_t off = d->at * BLOCK + at, left = BLOCK - at % BLOCK;
        int err = seed_bytes(s, off, r, 1);
        if (err)
            return err;
        if (r[0] <= RECORD_HEAD || r[0] > left) { /* records do not cross blocks */
            at += left;
            continue;
        }
        err = seed_bytes(s, off, r, r[0]);
        if (err)
            return err;
        if (seed_name_is(text, record_name(s, r, text), name, len)) {
            record_take(r, out);
            return 0;
        }
        at += r[0];
    }
    return -ENOENT;
}

static int iso_read(struct seed *s, const struct seed_file *f, char *buf, size_t n)
{
    return seed_bytes(s, f->at * BLOCK, buf, n);
}

static const struct seed_ops iso_ops = {iso_find, iso_read};

static bool is_joliet(const uint8_t *d)
{
    return d[0] == SUPPLEMENTARY && d[88] == '%' && d[89] == '/' &&
           (d[90] == '@' || d[90] == 'C' || d[90] == 'E');
}

int seed_iso_open(struct seed *s)
{
    uint8_t d[192]; /* as much of a descriptor as counts */
    bool found = false;
    for (unsigned i = DESCRIPTOR_FIRST; i < DESCRIPTOR_LAST; i++) {
        int err = seed_bytes(s, (uint64_t)i * BLOCK, d, sizeof d);
        if (err || memcmp(d + 1, "CD001", 5) || d[0] == TERMINATOR)
            break;
        if (d[0] == PRIMARY && !found) {
            size_t n = SEED_LABEL;
            while (n && d[40 + n - 1] == ' ')
                n--;
            memcpy(s->label, d + 40, n);
            s->label[n] = '\0';
            found = true;
            record_take(d + 156, &s->iso.root);
        } else if (found && is_joliet(d)) {
            record_take(d + 156, &s->iso.root);
            s->iso.joliet = true;
        }
    }
    s->ops = &iso_ops;
    return found ? 0 : -EINVAL;
}
