/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files on the disks by which a cloud tells a machine who it is: FAT (12, 16, 32) and
 * ISO 9660 (Joliet, Rock Ridge, plain), read only, a path at a time. Whatever such a disk says is
 * bounded: a path costs at most some thousand directory entries, a file what the caller has room
 * for. No cache but one block, no lock: one thread at boot.
 */
#pragma once

#include "dev/blkdev.h"

#define SEED_LABEL 32

struct seed;

struct seed_file {
    uint64_t at; /* a cluster, or a block */
    uint64_t size;
    bool directory;
};

struct seed_ops {
    /* A name in a directory; NULL: the root. 0, -ENOENT, -EIO. */
    int (*find)(struct seed *s, const struct seed_file *dir, const char *name, size_t len,
                struct seed_file *out);
    /* Reads the first n bytes of a file, which it has. 0, -EIO. */
    int (*read)(struct seed *s, const struct seed_file *f, char *buf, size_t n);
};

struct seed {
    struct blkdev *dev;
    const struct seed_ops *ops;
    char label[SEED_LABEL + 1];
    union {
        struct {
            unsigned bits; /* of a FAT entry */
            uint32_t cluster_bytes, root_cluster, clusters;
            uint64_t fat, root, data; /* bytes from the start */
            uint32_t root_entries;
        } fat;
        struct {
            struct seed_file root;
            bool joliet;
        } iso;
    };
    uint8_t *block; /* SEED_BLOCK bytes, of: */
    uint64_t block_at;
    size_t block_len;
};

#define SEED_BLOCK 4096u

/* 0; -EINVAL: neither a FAT nor an ISO 9660; -EIO, -ENOMEM. Sleeps, as all here. */
int seed_open(struct blkdev *dev, struct seed *s);
void seed_close(struct seed *s);
/*
 * The content of a file, terminated; names match without regard to case. Its length; -ENOENT,
 * -EFBIG: it has `size` bytes or more; -EIO, also for a damaged disk.
 */
ssize_t seed_read(struct seed *s, const char *path, char *buf, size_t size);

/* For the formats. n bytes at `off`: 0, -EIO. */
int seed_bytes(struct seed *s, uint64_t off, void *to, size_t n);
bool seed_name_is(const char *a, size_t a_len, const char *b, size_t b_len);
int seed_fat_open(struct seed *s); /* -EINVAL: another format */
int seed_iso_open(struct seed *s);

static inline uint32_t seed_le16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t seed_le32(const uint8_t *p)
{
    return seed_le16(p) | seed_le16(p + 2) << 16;
}
