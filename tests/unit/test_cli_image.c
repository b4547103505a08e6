/* SPDX-License-Identifier: Apache-2.0 */
/* What is read from and written into disk images, as bytes: packed files, digests, a CD-ROM's
 * records. */
#include <stdio.h>
#include <unistd.h>

#include "cli_test.h"

#include "gpt_table.h"
#include "gzip.h"
#include "image_digest.h"
#include "iso.h"
#include "sha1.h"
#include "tarball.h"

static struct err err;

static void packed(void **state)
{
    (void)state;
    struct buf text = {0}, to = {0}, back = {0};
    for (int i = 0; i < 20000; i++)
        buf_addf(&text, "line %d\n", i);
    gzip_pack(&to, text.data, text.size);
    assert_true(to.size < text.size / 2);
    assert_true(gzip_unpack(&back, &to, text.size, "it", &err));
    assert_int_equal(back.size, text.size);
    assert_memory_equal(back.data, text.data, text.size);
    buf_free(&back);
    assert_false(gzip_unpack(&back, &to, 70000, "it", &err)); /* more than is wanted */
    assert_true(back.size < 200000);
    buf_free(&back);
    for (size_t n = 2; n < to.size; n += 97) { /* cut off */
        struct buf cut = {.data = to.data, .size = n};
        assert_false(gzip_unpack(&back, &cut, text.size, "it", &err));
        assert_string_equal(err.message, "it is damaged");
        buf_free(&back);
    }
    for (size_t i = 11; i < to.size; i += 131) { /* a bit of content or sum */
        to.data[i] = (char)(to.data[i] ^ 8);
        assert_false(gzip_unpack(&back, &to, 2 * text.size, "it", &err));
        to.data[i] = (char)(to.data[i] ^ 8);
        buf_free(&back);
    }
    assert_true(gzip_unpack(&back, &text, 10, "it", &err)); /* not packed at all */
    assert_int_equal(back.size, text.size);
    buf_free(&back);
    buf_free(&to);
    buf_free(&text);
    err_free(&err);
}

enum { MIB = 1 << 20, HOLES = 100 * MIB }; /* zeros between the two parts of a disk */

static const char middle[] = "what is in the middle of the disk";

/* A disk of 3 MiB of bytes, HOLES, three words across a boundary, 5 MiB and a bit; `written`: all
 * zeros are in the file, none of them a hole. */
static uint64_t disk_make(int fd, bool written)
{
    char *text = calloc(1, 3 * MIB), *zeros = calloc(1, MIB);
    uint64_t size = 3 * MIB + HOLES + 5 * MIB + 77;
    for (uint64_t at = 0; written && at < size; at += MIB)
        assert_int_equal(pwrite(fd, zeros, MIB, (off_t)at), MIB);
    for (unsigned i = 0, v = 1; i < 3 * MIB; i++)
        text[i] = (char)((v = v * 1664525 + 1013904223) >> 24);
    assert_int_equal(pwrite(fd, text, 3 * MIB, 0), 3 * MIB);
    assert_int_equal(pwrite(fd, middle, sizeof middle, 3 * MIB + HOLES - 9), sizeof middle);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    free(zeros);
    free(text);
    return size;
}

static void file_read(FILE *f, struct buf *to)
{
    char bytes[4096];
    size_t n;
    rewind(f);
    while ((n = fread(bytes, 1, sizeof bytes, f)))
        buf_add(to, bytes, n);
}

/* The archive of a disk as gzip's member, read back; of equal content, equal bytes. */
static void sparse_archive(void **state)
{
    (void)state;
    struct buf packed_as[2] = {{0}, {0}}, back = {0}, disk = {0};
    for (int written = 0; written < 2; written++) {
        FILE *from = tmpfile(), *to = tmpfile();
        struct tarball tar;
        uint64_t size = disk_make(fileno(from), written);
        assert_true(tarball_begin(&tar, fileno(to), "it", true, &err));
        assert_true(tarball_add(&tar, "small", 5, "bytes", -1, &err));
        bool ok = tarball_add(&tar, "disk.raw", size, NULL, fileno(from), &err);
        assert_true(tarball_end(&tar, ok, &err));
        file_read(to, &packed_as[written]);
        disk.size = 0;
        file_read(from, &disk);
        fclose(from);
        fclose(to);
    }
    assert_int_equal(packed_as[0].size, packed_as[1].size);
    assert_memory_equal(packed_as[0].data, packed_as[1].data, packed_as[0].size);
    assert_true(packed_as[0].size < 3 * MIB + MIB / 2);
    assert_true(
        gzip_unpack(&back, &packed_as[0], 200 * MIB, "it", &err)); /* which compares the sum */
    assert_int_equal(back.size, 3 * 512 + disk.size + -disk.size % 512 + 1024);
    assert_memory_equal(back.data + 512, "bytes", 5);
    assert_memory_equal(back.data + 3 * 512, disk.data, disk.size);
    buf_free(&packed_as[0]);
    buf_free(&packed_as[1]);
    buf_free(&back);
    buf_free(&disk);
    err_free(&err);
}

static void digests(void **state)
{
    (void)state;
    struct image_digests d = {.kernel = {1}, .manifest = {2}, .loader = {3}, .root = {4}}, read;
    struct buf text = {0};
    d.efi_signed = true;
    image_digests_write(&d, &text);
    assert_true(image_digests_read(&read, text.data));
    assert_memory_equal(&read.root, &d.root, sizeof d.root);
    assert_memory_equal(&read.kernel, &d.kernel, sizeof d.kernel);
    assert_true(read.efi_signed);
    char *line = strchr(text.data, '\n');
    assert_false(image_digests_read(&read, line)); /* the kernel's is missing */
    line[-1] = 'x';
    assert_false(image_digests_read(&read, text.data));
    assert_false(image_digests_read(&read, ""));
    assert_false(image_digests_read(&read, "colour=red\n"));
    buf_free(&text);
}

/* The examples of FIPS 180-4, at every border of a block. */
static void sha1_sums(void **state)
{
    (void)state;
    static const unsigned char abc[SHA1_SIZE] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81,
                                                 0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50,
                                                 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};
    static const unsigned char million[SHA1_SIZE] = {0x34, 0xaa, 0x97, 0x3c, 0xd4, 0xc4, 0xda,
                                                     0xa4, 0xf6, 0x1e, 0xeb, 0x2b, 0xdb, 0xad,
                                                     0x27, 0x31, 0x65, 0x34, 0x01, 0x6f};
    unsigned char digest[SHA1_SIZE], again[SHA1_SIZE];
    char as[130];
    struct sha1 s;
    sha1_begin(&s);
    sha1_add(&s, "abc", 3);
    sha1_end(&s, digest);
    assert_memory_equal(digest, abc, SHA1_SIZE);
    memset(as, 'a', sizeof as);
    sha1_begin(&s);
    for (int i = 0; i < 10000; i++)
        sha1_add(&s, as, 100);
    sha1_end(&s, digest);
    assert_memory_equal(digest, million, SHA1_SIZE);
    for (size_t n = 0; n <= sizeof as; n++) { /* whole and in pieces */
        sha1_begin(&s);
        sha1_add(&s, as, n);
        sha1_end(&s, digest);
        sha1_begin(&s);
        for (size_t i = 0; i < n; i++)
            sha1_add(&s, as + i, 1);
        sha1_end(&s, again);
        assert_memory_equal(digest, again, SHA1_SIZE);
    }
}

static void cd_records(void **state)
{
    (void)state;
    static uint8_t to[ISO_END - ISO_START];
    struct buf core = {0};
    for (int i = 0; i < 3000; i++)
        buf_add(&core, "grub", 4);
    struct iso iso = {.core = &core, .efi = 2 << 20, .efi_size = 4 << 20, .size = 32 << 20};
    assert_true(iso_fill(to, &iso));
    assert_memory_equal(to + 1, "CD001", 5);
    assert_int_equal(to[80] | to[81] << 8 | to[82] << 16, (32 << 20) / 2048);
    assert_memory_equal(to + 2048 + 7, "EL TORITO SPECIFICATION", 23);
    const uint8_t *catalog = to + (size_t)6 * 2048;
    unsigned sum = 0;
    for (int i = 0; i < 32; i += 2)
        sum += (unsigned)(catalog[i] | catalog[i + 1] << 8);
    assert_int_equal(sum & 0xffff, 0);
    for (size_t i = core.size; i <= ISO_END; i += 4) /* larger than the gap */
        buf_add(&core, "grub", 4);
    assert_false(iso_fill(to, &iso));
    buf_free(&core);
}

/* The second table of a disk, and every bit of both. */
static void backup_table(void **state)
{
    (void)state;
    static uint8_t head[GPT_HEAD_SECTORS * GPT_SECTOR], tail[GPT_TAIL_SECTORS * GPT_SECTOR];
    static const uint8_t id[16] = {1};
    struct gpt_partition part = {GPT_LINUX, {2}, 2048, 4095, "ops-root"};
    gpt_fill(head, tail, 8192, id, &part, 1);
    assert_true(gpt_present(head) && gpt_marked(head) && gpt_backup_present(tail, 8192));
    assert_int_equal(gpt_sectors(head), 8192);
    assert_false(gpt_backup_present(tail, 8191));
    for (size_t i = 0; i < 128; i++) {
        tail[i] ^= 4;
        assert_false(gpt_backup_present(tail, 8192));
        tail[i] ^= 4;
    }
    for (size_t i = 0; i < 92; i++) {
        head[GPT_SECTOR + i] ^= 4;
        assert_false(gpt_present(head));
        assert_true(gpt_marked(head));
        head[GPT_SECTOR + i] ^= 4;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed),     cmocka_unit_test(sparse_archive),
        cmocka_unit_test(digests),    cmocka_unit_test(sha1_sums),
        cmocka_unit_test(cd_records), cmocka_unit_test(backup_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
