/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FAT as Microsoft's specification (fatgen103) has it: 12, 16 or 32 bits by the number of clusters,
 * long names from the entries before the short one, if their checksum is its.
 */
#include <errno.h>

#include "fs/seed/seed.h"
#include "lib/string.h"

#define BOOT_BYTES      512u
#define ENTRY           32u
#define ENTRIES_MAX     4096u /* looked at in one directory */
#define LONG_CHARS      13u   /* of a name in one entry */
#define LONG_ENTRIES    20u
#define ATTR_VOLUME     0x08
#define ATTR_DIRECTORY  0x10
#define ATTR_LONG       0x0f
#define LAST_LONG       0x40
#define FREE            0xe5
#define CLUSTERS_12_MAX 4085u
#define CLUSTERS_16_MAX 65525u
#define CLUSTERS_MAX    0x0ffffff6u

/* The cluster behind one; 0: none, also where the table makes no sense. */
static int cluster_next(struct seed *s, uint32_t *cluster)
{
    uint8_t raw[4];
    uint32_t n = *cluster, v;
    uint64_t at = s->fat.bits == 12 ? n + n / 2 : (uint64_t)n * s->fat.bits / 8;
    int err = seed_bytes(s, s->fat.fat + at, raw, s->fat.bits == 32 ? 4 : 2);
    if (err)
        return err;
    if (s->fat.bits == 12)
        v = n % 2 ? seed_le16(raw) >> 4 : seed_le16(raw) & 0xfff;
    else
        v = s->fat.bits == 16 ? seed_le16(raw) : seed_le32(raw) & 0x0fffffff;
    *cluster = v >= 2 && v < s->fat.clusters + 2 ? v : 0;
    return 0;
}

static uint64_t cluster_at(const struct seed *s, uint32_t cluster)
{
    return s->fat.data + (uint64_t)(cluster - 2) * s->fat.cluster_bytes;
}

/* Where a directory is read. */
struct walk {
    uint32_t cluster; /* 0: the root of FAT12 and FAT16 */
    uint32_t entry;   /* in the cluster */
    unsigned seen;
};

/* The next entry: 0, -ENOENT at the end. */
static int entry_read(struct seed *s, struct walk *w, uint8_t e[ENTRY])
{
    uint32_t room = w->cluster ? s->fat.cluster_bytes / ENTRY : s->fat.root_entries;
    if (w->seen++ == ENTRIES_MAX)
        return -EIO;
    if (w->entry == room) {
        int err = w->cluster ? cluster_next(s, &w->cluster) : 0;
        if (err || !w->cluster)
            return err ? err : -ENOENT;
        w->entry = 0;
    }
    uint64_t base = w->cluster ? cluster_at(s, w->cluster) : s->fat.root;
    int err = seed_bytes(s, base + (uint64_t)w->entry++ * ENTRY, e, ENTRY);
    return err ? err : e[0] ? 0 : -ENOENT;
}

/* A long name as it is put together, last part first. */
struct long_name {
    char text[LONG_CHARS * LONG_ENTRIES];
    unsigned want; /* the part to come */
    size_t len;
    uint8_t sum;
};

static void long_add(struct long_name *l, const uint8_t *e)
{
    static const uint8_t places[LONG_CHARS] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
    unsigned part = e[0] & ~LAST_LONG;
    if (e[0] & LAST_LONG && part && part <= LONG_ENTRIES)
        *l = (struct long_name){.want = part, .len = part * LONG_CHARS, .sum = e[13]};
    if (!part || part != l->want || e[13] != l->sum) {
        l->len = 0;
        l->want = 0;
        return;
    }
    l->want--;
    for (unsigned i = 0; i < LONG_CHARS; i++) {
        uint32_t c = seed_le16(e + places[i]);
        size_t at = (part - 1) * LONG_CHARS + i;
        if (!c)
            l->len = MIN(l->len, at);
        l->text[at] = c < 0x80 ? (char)c : '?';
    }
}

static uint8_t short_sum(const uint8_t *e)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 11; i++)
        sum = ((sum & 1) << 7) + (sum >> 1 & 0x7f) + e[i];
    return (uint8_t)sum;
}

/* NAME.EXT; its length. */
static size_t short_text(const uint8_t *e, char text[12])
{
    size_t n = 0, end;
    for (unsigned i = 0; i < 8; i++)
        text[n++] = (char)e[i];
    while (n && text[n - 1] == ' ')
        n--;
    end = n;
    text[n++] = '.';
    for (unsigned i = 8; i < 11; i++) {
        text[n++] = (char)e[i];
        end = e[i] != ' ' ? n : end;
    }
    return end;
}

static int fat_find(struct seed *s, const struct seed_file *dir, const char *name, size_t len,
                    struct seed_file *out)
{
    struct walk w = {.cluster = dir ? (uint32_t)dir->at : s->fat.root_cluster};
    struct long_name l = {.len = 0};
    uint8_t e[ENTRY];
    char text[12];
    int err;
    if (dir && !w.cluster)
        return -ENOENT;
    while (!(err = entry_read(s, &w, e))) {
        if (e[0] != FREE && (e[11] & 0x3f) == ATTR_LONG) {
            long_add(&l, e);
            continue;
        }
        bool is_long = l.len && !l.want && l.sum == short_sum(e);
        bool named = e[0] != FREE && !(e[11] & ATTR_VOLUME) &&
                     ((is_long && seed_name_is(l.text, l.len, name, len)) ||
                      seed_name_is(text, short_text(e, text), name, len));
        l.len = 0;
        if (!named)
            continue;
        out->at = seed_le16(e + 26) | (s->fat.bits == 32 ? seed_le16(e + 20) << 16 : 0);
        out->at = out->at >= 2 && out->at < s->fat.clusters + 2 ? out->at : 0;
        out->size = seed_le32(e + 28);
        out->directory = e[11] & ATTR_DIRECTORY;
        return 0;
    }
    return err;
}

static int fat_read(struct seed *s, const struct seed_file *f, char *buf, size_t n)
{
    uint32_t cluster = (uint32_t)f->at;
    for (size_t done = 0; done < n;) {
        size_t part = MIN(n - done, (size_t)s->fat.cluster_bytes);
        int err = cluster ? seed_bytes(s, cluster_at(s, cluster), buf + done, part) : -EIO;
        if (!err)
            err = cluster_next(s, &cluster);
        if (err)
            return err;
        done += part;
    }
    return 0;
}

static const struct seed_ops fat_ops = {fat_find, fat_read};

static void label_take(struct seed *s, const char *text)
{
    size_t n = 11;
    while (n && text[n - 1] == ' ')
        n--;
    memcpy(s->label, text, n);
    s->label[n] = '\0';
}

/* The root directory's own word on the label goes before the boot sector's. */
static void label_find(struct seed *s)
{
    struct walk w = {.cluster = s->fat.root_cluster};
    uint8_t e[ENTRY];
    while (!entry_read(s, &w, e))
        if (e[0] != FREE && (e[11] & 0x3f) != ATTR_LONG && e[11] & ATTR_VOLUME) {
            label_take(s, (const char *)e);
            return;
        }
}

int seed_fat_open(struct seed *s)
{
    uint8_t b[BOOT_BYTES];
    int err = seed_bytes(s, 0, b, sizeof b);
    if (err)
        return err;
    uint32_t sector = seed_le16(b + 11), per_cluster = b[13], reserved = seed_le16(b + 14);
    uint32_t fats = b[16], entries = seed_le16(b + 17);
    uint64_t total = seed_le16(b + 19) ? seed_le16(b + 19) : seed_le32(b + 32);
    uint64_t fat_sectors = seed_le16(b + 22) ? seed_le16(b + 22) : seed_le32(b + 36);
    bool is_32 = !seed_le16(b + 22);
    if (b[510] != 0x55 || b[511] != 0xaa || sector < 512 || sector > 4096 ||
        sector & (sector - 1) || !per_cluster || per_cluster & (per_cluster - 1) || !reserved ||
        !fats || !fat_sectors)
        return -EINVAL;
    uint64_t root = reserved + fats * fat_sectors;
    uint64_t data = root + ((uint64_t)entries * ENTRY + sector - 1) / sector;
    if (data >= total || (total - data) / per_cluster > CLUSTERS_MAX)
        return -EINVAL;
    s->ops = &fat_ops;
    s->fat.clusters = (uint32_t)((total - data) / per_cluster);
    s->fat.bits = is_32                               ? 32
                  : s->fat.clusters < CLUSTERS_12_MAX ? 12
                  : s->fat.clusters < CLUSTERS_16_MAX ? 16
                                                      : 32;
    s->fat.cluster_bytes = sector * per_cluster;
    s->fat.fat = (uint64_t)reserved * sector;
    s->fat.root = root * sector;
    s->fat.data = data * sector;
    s->fat.root_entries = entries;
    s->fat.root_cluster = is_32 ? seed_le32(b + 44) : 0;
    if (is_32 && (s->fat.root_cluster < 2 || s->fat.root_cluster >= s->fat.clusters + 2))
        return -EINVAL;
    label_take(s, (const char *)b + (is_32 ? 71 : 43));
    label_find(s);
    return 0;
}
