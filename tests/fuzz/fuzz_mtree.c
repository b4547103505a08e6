/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of files from nowhere: what is taken is sorted, whole, and the same when written again. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "mtree.h"

static char dir[] = "/tmp/fuzz-mtree.XXXXXX";

static void remove_dir(void)
{
    if (chdir(dir) == 0)
        unlink("list");
    rmdir(dir);
}

static void check(const struct mtree *m)
{
    for (size_t i = 0; i < m->count; i++) {
        char *normal = path_normal(m->entries[i].path);
        if (strcmp(normal, m->entries[i].path) != 0 ||
            (i && strcmp(m->entries[i - 1].path, normal) >= 0))
            abort();
        if (mtree_find(m, normal) != &m->entries[i] || !m->entries[i].nlink)
            abort();
        free(normal);
    }
}

static char *written(const struct mtree *m)
{
    struct err err = {0};
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    char *path = path_join(dir, "list");
    if (!mtree_write(m, fd, "list", &err))
        abort();
    char *text = path_read(path, 1 << 30, NULL, &err);
    close(fd);
    free(path);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;
    struct mtree m, again;
    struct err err = {0};
    char *text = alloc_bytes((const char *)data, size);
    if (!made) {
        if (!mkdtemp(dir))
            abort();
        made = true;
        atexit(remove_dir);
    }
    if (mtree_parse(&m, "list", text, size, &err)) {
        check(&m);
        char *one = written(&m);
        if (!mtree_parse(&again, "list", one, strlen(one), &err) || again.count != m.count)
            abort();
        char *two = written(&again);
        if (strcmp(one, two) != 0)
            abort();
        mtree_free(&again);
        free(one);
        free(two);
    } else if (!err.message) {
        abort(); /* a failure without a reason */
    }
    mtree_free(&m);
    err_free(&err);
    free(text);
    return 0;
}
