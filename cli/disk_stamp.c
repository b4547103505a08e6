/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers inside disk formats: see disk_stamp.h. */
#include "disk_stamp.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "gpt_table.h"
#include "little.h"
#include "ops/exit.h"
#include "outfile.h"

#define SECTOR 512u

#define VDI_IMAGE_ID    392
#define VDI_SNAPSHOT_ID 408

#define VHDX_HEADER1       (64u << 10)
#define VHDX_HEADER2       (128u << 10)
#define VHDX_HEADER        4096u
#define VHDX_CHECKSUM      4
#define VHDX_SEQUENCE      8
#define VHDX_FILE_ID       16
#define VHDX_DATA_ID       32
#define VHDX_LOG_ID        48
#define VHDX_LOG_LENGTH    68
#define VHDX_LOG_OFFSET    72
#define VHDX_REGIONS       (192u << 10)
#define VHDX_REGION_LIMIT  2047u
#define VHDX_TABLE         (64u << 10)
#define VHDX_LOG_MAX       (64u << 20)
#define VHDX_METADATA_HEAD 32u

#define VMDK_DESCRIPTOR_AT   28 /* in the header: sectors, 8 bytes each */
#define VMDK_DESCRIPTOR_SIZE 36
#define VMDK_DESCRIPTOR_MAX  128u /* sectors */

static uint64_t get_le(const uint8_t *from, size_t bytes)
{
    uint64_t v = 0;
    while (bytes--)
        v = v << 8 | from[bytes];
    return v;
}

static void put_be(uint8_t *to, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

void stamp_id(const uint8_t disk_id[16], const char *use, uint8_t id[16])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, disk_id, 16);
    crypto_hash_sha256_update(&state, (const unsigned char *)use, strlen(use));
    crypto_hash_sha256_final(&state, digest);
    memcpy(id, digest, 16);
    gpt_id_stamp(id);
}

static bool strange(const char *shown, struct err *err)
{
    return err_set(err, OPS_EXIT_FAILED, NULL, "qemu-img wrote %s in a form that ops does not know",
                   shown);
}

static bool bytes_get(int fd, const char *shown, void *to, size_t n, uint64_t at, struct err *err)
{
    return pread(fd, to, n, (off_t)at) == (ssize_t)n || strange(shown, err);
}

bool stamp_vdi(int fd, const char *shown, const uint8_t disk_id[16], struct err *err)
{
    uint8_t id[2][16];
    stamp_id(disk_id, "vdi image", id[0]);
    stamp_id(disk_id, "vdi snapshot", id[1]);
    return outfile_put(fd, shown, id[0], 16, VDI_IMAGE_ID, err) &&
           outfile_put(fd, shown, id[1], 16, VDI_SNAPSHOT_ID, err);
}

/* CRC-32C, reflected. */
static uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;
    while (n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* The log is empty (the header names none), but what it was used for still stands there. */
static bool vhdx_log_clear(int fd, const char *shown, const uint8_t *header, struct err *err)
{
    static const uint8_t none[16];
    uint64_t at = get_le(header + VHDX_LOG_OFFSET, 8), n = get_le(header + VHDX_LOG_LENGTH, 4);
    if (memcmp(header + VHDX_LOG_ID, none, 16) != 0 || n > VHDX_LOG_MAX)
        return strange(shown, err);
    uint8_t *zeros = alloc_zero(n);
    bool ok = outfile_put(fd, shown, zeros, n, (off_t)at, err);
    free(zeros);
    return ok;
}

/* Both headers become the current one; the first is a step older. */
static bool vhdx_headers(int fd, const char *shown, const uint8_t disk_id[16], struct err *err)
{
    uint8_t two[2][VHDX_HEADER];
    if (!bytes_get(fd, shown, two[0], VHDX_HEADER, VHDX_HEADER1, err) ||
        !bytes_get(fd, shown, two[1], VHDX_HEADER, VHDX_HEADER2, err))
        return false;
    if (memcmp(two[0], "head", 4) != 0 || memcmp(two[1], "head", 4) != 0)
        return strange(shown, err);
    bool first = get_le(two[0] + VHDX_SEQUENCE, 8) > get_le(two[1] + VHDX_SEQUENCE, 8);
    memcpy(two[first], two[!first], VHDX_HEADER);
    for (uint64_t i = 0; i < 2; i++) {
        put_le(two[i] + VHDX_SEQUENCE, i + 1, 8);
        stamp_id(disk_id, "vhdx file", two[i] + VHDX_FILE_ID);
        stamp_id(disk_id, "vhdx data", two[i] + VHDX_DATA_ID);
        put_le(two[i] + VHDX_CHECKSUM, 0, 4);
        put_le(two[i] + VHDX_CHECKSUM, crc32c(two[i], VHDX_HEADER), 4);
    }
    return vhdx_log_clear(fd, shown, two[0], err) &&
           outfile_put(fd, shown, two[0], VHDX_HEADER, VHDX_HEADER1, err) &&
           outfile_put(fd, shown, two[1], VHDX_HEADER, VHDX_HEADER2, err);
}

/* The entry of 32 bytes that begins with `id`; NULL: none. */
static const uint8_t *vhdx_entry(const uint8_t *at, size_t count, const uint8_t id[16])
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(at + 32 * i, id, 16) == 0)
            return at + 32 * i;
    return NULL;
}

/* The disk's identity towards the machine (SCSI page 83) stands among the metadata. */
static bool vhdx_identity(int fd, const char *shown, const uint8_t disk_id[16], struct err *err)
{
    static const uint8_t metadata[16] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                         0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
    static const uint8_t page83[16] = {0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45,
                                       0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46};
    uint8_t *table = alloc_zero(VHDX_TABLE), id[16];
    uint64_t base = 0;
    const uint8_t *entry = NULL;
    bool ok = bytes_get(fd, shown, table, VHDX_TABLE, VHDX_REGIONS, err);
    if (ok && get_le(table + 8, 4) <= VHDX_REGION_LIMIT)
        entry = vhdx_entry(table + 16, get_le(table + 8, 4), metadata);
    if (entry) {
        base = get_le(entry + 16, 8);
        entry = NULL;
        ok = bytes_get(fd, shown, table, VHDX_TABLE, base, err);
        if (ok && get_le(table + 10, 2) < VHDX_REGION_LIMIT)
            entry = vhdx_entry(table + VHDX_METADATA_HEAD, get_le(table + 10, 2), page83);
    }
    if (ok && !entry)
        ok = strange(shown, err);
    stamp_id(disk_id, "vhdx identity", id);
    ok = ok && outfile_put(fd, shown, id, 16, (off_t)(base + get_le(entry + 16, 4)), err);
    free(table);
    return ok;
}

bool stamp_vhdx(int fd, const char *shown, const uint8_t disk_id[16], struct err *err)
{
    return vhdx_headers(fd, shown, disk_id, err) && vhdx_identity(fd, shown, disk_id, err);
}

/* The descriptor's text with the content's identifier and the extent's file as they should be. */
static void vmdk_text(struct buf *to, const char *from, const char *name, uint32_t cid)
{
    while (*from) {
        size_t n = strcspn(from, "\n");
        const char *quote = memchr(from, '"', n);
        if (strncmp(from, "CID=", 4) == 0)
            buf_addf(to, "CID=%08x", cid);
        else if (strncmp(from, "RW ", 3) == 0 && quote)
            buf_addf(to, "%.*s\"%s\"", (int)(quote - from), from, name);
        else
            buf_add(to, from, n);
        buf_add(to, "\n", 1);
        from += n + (from[n] == '\n');
    }
}

bool stamp_vmdk(int fd, const char *shown, const char *name, const uint8_t disk_id[16],
                struct err *err)
{
    uint8_t head[SECTOR], id[16];
    struct buf text = {0};
    if (!bytes_get(fd, shown, head, sizeof head, 0, err))
        return false;
    uint64_t at = get_le(head + VMDK_DESCRIPTOR_AT, 8);
    uint64_t sectors = get_le(head + VMDK_DESCRIPTOR_SIZE, 8);
    if (memcmp(head, "KDMV", 4) != 0 || !at || !sectors || sectors > VMDK_DESCRIPTOR_MAX)
        return strange(shown, err);
    char *old = alloc_zero(sectors * SECTOR + 1);
    bool ok = bytes_get(fd, shown, old, sectors * SECTOR, at * SECTOR, err);
    if (ok) {
        stamp_id(disk_id, "vmdk", id);
        vmdk_text(&text, old, name, (uint32_t)get_le(id, 4) & 0x7fffffff); /* all ones: none */
        ok = text.size <= sectors * SECTOR || strange(shown, err);
    }
    if (ok) {
        memset(old, 0, sectors * SECTOR);
        memcpy(old, text.data, text.size);
        ok = outfile_put(fd, shown, old, sectors * SECTOR, (off_t)(at * SECTOR), err);
    }
    buf_free(&text);
    free(old);
    return ok;
}

/* Cylinders, heads and sectors for machines that ask for them (VHD 1.0, appendix). */
static void vhd_geometry(uint8_t to[4], uint64_t sectors)
{
    uint64_t most = UINT64_C(65535) * 16 * 255;
    uint64_t n = sectors < most ? sectors : most, tracks, heads = 16, spt = 255;
    if (n >= UINT64_C(65535) * 16 * 63) {
        tracks = n / spt;
    } else {
        spt = 17;
        tracks = n / spt;
        heads = (tracks + 1023) / 1024 < 4 ? 4 : (tracks + 1023) / 1024;
        if (tracks >= heads * 1024 || heads > 16) {
            spt = 31;
            heads = 16;
            tracks = n / spt;
        }
        if (tracks >= heads * 1024) {
            spt = 63;
            tracks = n / spt;
        }
    }
    put_be(to, tracks / heads, 2);
    to[2] = (uint8_t)heads;
    to[3] = (uint8_t)spt;
}

void stamp_vhd(uint8_t footer[512], uint64_t size, const uint8_t disk_id[16])
{
    uint32_t sum = 0;
    memset(footer, 0, 512);
    memcpy(footer, "conectix", 8);
    put_be(footer + 8, 2, 4);           /* features: always 2 */
    put_be(footer + 12, 0x10000, 4);    /* version 1.0 */
    put_be(footer + 16, UINT64_MAX, 8); /* no further structure: it is fixed */
    put_be(footer + 24, 0, 4);          /* the clock's start, whenever it was built */
    memcpy(footer + 28, "qem2", 4);     /* readers then go by the size, not the geometry */
    put_be(footer + 32, 0x10000, 4);
    memcpy(footer + 36, "Wi2k", 4);
    put_be(footer + 40, size, 8);
    put_be(footer + 48, size, 8);
    vhd_geometry(footer + 56, size / SECTOR);
    put_be(footer + 60, 2, 4); /* fixed */
    stamp_id(disk_id, "vhd", footer + 68);
    for (int i = 0; i < 512; i++)
        sum += footer[i];
    put_be(footer + 64, ~sum, 4);
}
