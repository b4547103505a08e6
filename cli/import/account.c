/* SPDX-License-Identifier: Apache-2.0 */
/* An image's accounts: see account.h. */
#include "import/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "ops/exit.h"

#define TEXT_LIMIT (1u << 20)

static bool number(const char *text, size_t n, uint32_t *value)
{
    char *copy = alloc_bytes(text, n);
    errno = 0;
    unsigned long long all = strtoull(copy, NULL, 10);
    bool ok = n && n <= 10 && strspn(copy, "0123456789") == n && errno == 0 && all < UINT32_MAX;
    *value = (uint32_t)all;
    free(copy);
    return ok;
}

/* Field `index` of the line at `p`, as length; *at is where it begins. False: there is none. */
static bool field(const char *p, unsigned index, const char **at, size_t *n)
{
    for (; index; index--) {
        p += strcspn(p, ":\n");
        if (*p != ':')
            return false;
        p++;
    }
    *at = p;
    *n = strcspn(p, ":\n");
    return true;
}

bool account_line(const char *text, const char *name, uint32_t wanted, uint32_t *id, uint32_t *gid)
{
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *at;
        size_t n;
        uint32_t found;
        bool mine =
            name && field(line, 0, &at, &n) && n == strlen(name) && strncmp(at, name, n) == 0;
        if (!field(line, 2, &at, &n) || !number(at, n, &found) ||
            !(mine || (!name && found == wanted)))
            continue;
        if (gid && !(field(line, 3, &at, &n) && number(at, n, gid)))
            continue;
        *id = found;
        return true;
    }
    return false;
}

static bool lookup(const struct rootfs_view *v, const char *file, const char *word, uint32_t *id,
                   uint32_t *gid)
{
    char *text = rootpath_read(v, file, TEXT_LIMIT);
    uint32_t n = 0;
    bool is_number = number(word, strlen(word), &n);
    bool found = text && account_line(text, is_number ? NULL : word, n, id, gid);
    free(text);
    if (!found && is_number) {
        *id = n;
        if (gid)
            *gid = 0;
    }
    return found || is_number;
}

bool account_find(const struct rootfs_view *v, const char *user, uint32_t *uid, uint32_t *gid,
                  struct err *err)
{
    *uid = *gid = 0;
    if (!user || !user[0])
        return true;
    const char *colon = strchr(user, ':');
    char *name = alloc_bytes(user, strcspn(user, ":"));
    bool ok =
        lookup(v, "/etc/passwd", name, uid, gid) ||
        err_set(err, OPS_EXIT_FAILED, NULL, "the image runs as `%s`, but has no such user", name);
    if (ok && colon && colon[1])
        ok = lookup(v, "/etc/group", colon + 1, gid, NULL) ||
             err_set(err, OPS_EXIT_FAILED, NULL,
                     "the image runs in the group `%s`, but has no such group", colon + 1);
    free(name);
    return ok;
}
