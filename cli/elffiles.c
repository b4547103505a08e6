/* SPDX-License-Identifier: Apache-2.0 */
/* Special files that an ELF file names: see elffiles.h. */
#include "elffiles.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"

#define NAME_MOST 120 /* bytes; longer ones are no names of files there */

static const char *const known[] = {
#include "special_files.inc"
};

static int name_compare(const void *key, const void *entry)
{
    return strcmp(key, *(const char *const *)entry);
}

/* Behind a format for a number at `p`; NULL: it is none. */
static const char *format_end(const char *p)
{
    p++;
    p += strspn(p, "0123456789lzhj");
    return *p && strchr("diux", *p) ? p + 1 : NULL;
}

/* The name with every number as N; NULL: a format makes it something else. Freed with free(). */
static char *name_plain(const char *name)
{
    struct buf b = {0};
    for (const char *p = name; *p;) {
        const char *end = *p == '%' ? format_end(p) : NULL;
        if (*p == '%' && !end) {
            buf_free(&b);
            return NULL;
        }
        if (end || isdigit((unsigned char)*p)) {
            buf_add(&b, "N", 1);
            for (p = end ? end : p; isdigit((unsigned char)*p); p++)
                ;
        } else if (strncmp(p, "/self/", 6) == 0 && b.size == 5) {
            buf_add(&b, "/N", 2);
            p += 5;
        } else {
            buf_add(&b, p++, 1);
        }
    }
    return b.data;
}

bool elffiles_known(const char *name)
{
    static const char *const own[] = {"/dev/shm/", "/proc/self"};
    size_t n = strlen(name);
    if (n && name[n - 1] == '/') /* the beginning of a name */
        return true;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strncmp(name, own[i], strlen(own[i])) == 0 && (i == 0 || !name[strlen(own[i])]))
            return true;
    char *plain = name_plain(name);
    bool is = !plain ||
              bsearch(plain, known, sizeof known / sizeof known[0], sizeof known[0], name_compare);
    free(plain);
    return is;
}

/* The name that begins at `p`, freed with free(); NULL: no whole one. */
static char *name_at(const char *p, size_t room)
{
    size_t n = 0;
    while (n < room && n < NAME_MOST && (isalnum((unsigned char)p[n]) || strchr("/._-%", p[n])) &&
           p[n])
        n++;
    return n < room && !p[n] ? alloc_bytes(p, n) : NULL;
}

static void bytes_scan(const char *bytes, size_t size, struct strlist *names)
{
    static const char *const roots[] = {"/proc/", "/sys/", "/dev/"};
    for (size_t r = 0; r < sizeof roots / sizeof roots[0]; r++) {
        size_t length = strlen(roots[r]);
        const char *end = bytes + size;
        for (const char *p = bytes; (p = memmem(p, (size_t)(end - p), roots[r], length)); p++) {
            char *name = p > bytes && p[-1] ? NULL : name_at(p, (size_t)(end - p));
            if (name && !elffiles_known(name) && !strlist_has(names, name))
                strlist_add(names, name);
            free(name);
        }
    }
}

bool elffiles_missing(const char *path, struct strlist *names, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *bytes = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    bool ok = bytes != MAP_FAILED || err_errno(err, "read", path);
    if (fd >= 0)
        close(fd);
    if (ok) {
        bytes_scan(bytes, (size_t)st.st_size, names);
        munmap(bytes, (size_t)st.st_size);
    }
    return ok;
}
