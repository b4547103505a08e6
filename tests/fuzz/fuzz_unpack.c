/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives from nowhere: tar in every style, packages of Debian, two onto one tree. Nothing
 * appears beside the directory; what was taken is what the list says, which can be read again.
 * The first byte chooses the style; 0x80 divides the rest into two archives. Headers of tar get
 * right checksums, so that what is damaged is what they say.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "import/deb.h"
#include "import/unpack.h"

static char base[] = "/dev/shm/fuzz-unpack.XXXXXX";
static char root[64];

static int entry_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void remove_base(void)
{
    nftw(base, entry_remove, 32, FTW_DEPTH | FTW_PHYS);
}

static void begin(void)
{
    static bool begun;
    if (begun)
        return;
    if (!mkdtemp(base))
        abort();
    strcpy(root, base);
    strcat(root, "/root");
    atexit(remove_base);
    begun = true;
}

/* The base holds the root alone. */
static void outside_check(void)
{
    DIR *d = opendir(base);
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            strcmp(e->d_name, "root") != 0)
            abort();
    closedir(d);
}

static void list_check(struct unpack *u)
{
    struct mtree m, again;
    struct strlist faults = {0};
    struct err err = {0};
    if (unpack_finish(u, "/", &m, &err)) {
        char *list = path_join(base, "list");
        int fd = open(base, O_RDONLY | O_DIRECTORY);
        if (!mtree_write(&m, fd, "list", &err) || !mtree_read(&again, list, &err) ||
            !mtree_verify(&again, root, &faults, &err) || faults.count || again.count != m.count)
            abort();
        unlinkat(fd, "list", 0);
        close(fd);
        free(list);
        mtree_free(&again);
    } else if (!err.message) {
        abort();
    }
    mtree_free(&m);
    if (!unpack_remove(u, &err))
        abort();
    err_free(&err);
}

static bool add(struct unpack *u, struct budget *b, unsigned style, const uint8_t *data, size_t n,
                struct err *err)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    struct buf control = {0};
    bool ok;
    if (style % 5 == 4) {
        ok = deb_unpack(u, "fuzz", fd, b, &control, err);
    } else {
        struct stream *s = stream_open("fuzz", fd, UINT64_MAX, b);
        if (style % 5 == 3)
            unpack_strip_top(u, "sysroot");
        ok = unpack_archive(u, s, style % 5 == 3 ? UNPACK_PLAIN : style % 5, err);
        stream_close(s);
    }
    buf_free(&control);
    close(fd);
    return ok;
}

#define TAR_HEADER 512
#define TAR_SUM    148
#define TAR_MAGIC  257

static void checksums_mend(uint8_t *data, size_t size)
{
    uint8_t *at = data, *end = data + size, *magic;
    while ((magic = memmem(at, (size_t)(end - at), "ustar", 5)) != NULL) {
        at = magic + 5;
        uint8_t *header = magic - TAR_MAGIC;
        if (magic - data < TAR_MAGIC || end - header < TAR_HEADER)
            continue;
        unsigned sum = 0;
        char text[8];
        memset(header + TAR_SUM, ' ', 8);
        for (size_t i = 0; i < TAR_HEADER; i++)
            sum += header[i];
        snprintf(text, sizeof text, "%06o", sum);
        memcpy(header + TAR_SUM, text, 7);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    uint8_t *data = (uint8_t *)alloc_bytes((const char *)input, size);
    struct err err = {0};
    struct budget b = {.bytes = 1 << 20, .entries = 100, .ratio = 100};
    begin();
    checksums_mend(data, size);
    if (size < 1 || mkdir(root, 0755) < 0) {
        free(data);
        return 0;
    }
    int dir = open(root, O_RDONLY | O_DIRECTORY);
    struct unpack *u = unpack_create(dir, &b);
    unsigned style = data[0] & 0x7f;
    size_t half = data[0] & 0x80 && style % 5 != 3 ? (size - 1) / 1024 * 512 : size - 1;
    bool ok = add(u, &b, style, data + 1, half, &err);
    if (ok && half < size - 1)
        ok = add(u, &b, style, data + 1 + half, size - 1 - half, &err);
    if (!ok && !err.message)
        abort(); /* a failure without a reason */
    outside_check();
    if (ok)
        list_check(u);
    unpack_free(u);
    close(dir);
    if (nftw(root, entry_remove, 32, FTW_DEPTH | FTW_PHYS) != 0)
        abort();
    err_free(&err);
    free(data);
    return 0;
}
