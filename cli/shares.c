/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of this host that a program finds mounted: see shares.h. */
#include "shares.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"

#define HINT "write --share DIRECTORY:/path or DIRECTORY:/path:ro"

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool share_meant(const char *word)
{
    const char *colon = strstr(word, ":/");
    char *host = alloc_bytes(word, colon ? (size_t)(colon - word) : strlen(word));
    bool meant = strchr(host, '/') && is_directory(host);
    free(host);
    return meant;
}

/* Length of the host's part, whose path may have colons itself; 0: there is no path behind it. */
static size_t host_length(const char *word, size_t n)
{
    for (size_t i = n; i > 2; i--)
        if (word[i - 2] == ':' && word[i - 1] == '/')
            return i - 2;
    return 0;
}

static bool host_find(struct share *one, const char *host, struct err *err)
{
    one->host = realpath(host, NULL);
    if (!one->host) {
        err_errno(err, "share", host);
        err_hint(err, "the directory must be there: `mkdir` makes it");
        return false;
    }
    if (!is_directory(one->host))
        return err_set(err, OPS_EXIT_FAILED, "MapDirs and Files put files into the image",
                       "cannot share %s: it is not a directory", host);
    if (access(one->host, R_OK | X_OK) == 0)
        return true;
    err_errno(err, "share", host);
    return false;
}

static bool word_parse(struct share *one, const char *word, struct err *err)
{
    size_t n = strlen(word);
    one->read_only = n > 3 && strcmp(word + n - 3, ":ro") == 0;
    n -= one->read_only ? 3 : 0;
    size_t host = host_length(word, n);
    if (!host)
        return err_set(err, OPS_EXIT_USAGE, HINT,
                       strchr(word, ':') && word[0] != ':'
                           ? "--share %s: the path in the guest must be absolute"
                           : "--share %s says not what is shared where",
                       word);
    char *directory = alloc_bytes(word, host);
    char *path = alloc_bytes(word + host + 1, n - host - 1);
    one->path = path_normal(path);
    bool ok = mount_path_check("--share", word, one->path, err) && host_find(one, directory, err);
    free(path);
    free(directory);
    return ok;
}

/* Whether one of the paths lies in the other's directory. */
static bool nested(const char *a, const char *b)
{
    size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    return strncmp(a, b, n) == 0 && (a[n] == 0 || a[n] == '/') && (b[n] == 0 || b[n] == '/');
}

static bool twice_check(const struct shares *s, const struct mounts *m, const struct share *one,
                        struct err *err)
{
    for (size_t i = 0; i < s->count; i++)
        if (&s->items[i] != one && strcmp(s->items[i].path, one->path) == 0)
            return err_set(err, OPS_EXIT_USAGE, NULL, "two directories are to be shared at %s",
                           one->path);
    for (size_t i = 0; i < m->count; i++)
        if (nested(m->items[i].path, one->path))
            return err_set(err, OPS_EXIT_USAGE, "choose paths beside each other",
                           "the share at %s and the volume on %s are in each other's way",
                           one->path, m->items[i].path);
    return true;
}

static int path_compare(const void *a, const void *b)
{
    return strcmp(((const struct share *)a)->path, ((const struct share *)b)->path);
}

bool shares_parse(struct shares *s, const struct strlist *words, const struct mounts *m,
                  struct tree *t, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < words->count; i++) {
        s->items = alloc_array(s->items, s->count + 1, sizeof *s->items);
        struct share *one = &s->items[s->count++];
        *one = (struct share){0};
        ok = word_parse(one, words->items[i], err) && twice_check(s, m, one, err) &&
             (tree_find(t, one->path) || tree_add_dir(t, one->path, 0755, "mount point", err));
    }
    if (s->count)
        qsort(s->items, s->count, sizeof *s->items, path_compare);
    return ok;
}

void shares_declare(const struct shares *s, struct strlist *manifest)
{
    for (size_t i = 0; i < s->count; i++)
        strlist_addf(manifest, SHARE_TAG "%zu:%s%s", i, s->items[i].path,
                     s->items[i].read_only ? ":ro" : "");
}

void shares_free(struct shares *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].host);
        free(s->items[i].path);
    }
    free(s->items);
    *s = (struct shares){0};
}
