/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops-import deb: packages of Debian, one over the other, and what their control files say. Their
 * scripts are not run.
 */
#include <stdio.h>
#include <unistd.h>

#include "buf.h"
#include "import/import.h"
#include "import/deb.h"

bool import_deb(struct import *i, struct err *err)
{
    int root = import_inputs(i, err) ? import_sysroot(i, err) : -1;
    if (root < 0)
        return false;
    struct unpack *u = unpack_create(root, &i->budget);
    struct buf control = {0};
    bool ok = true;
    for (char **w = i->words + 1; ok && *w; w++) {
        int fd = import_open(*w, err);
        ok = fd >= 0 && deb_unpack(u, *w, fd, &i->budget, &control, err);
        if (fd >= 0)
            close(fd);
    }
    ok = ok && import_list(i, u, "/", err);
    if (ok)
        fwrite(control.data, 1, control.size, stdout);
    buf_free(&control);
    unpack_free(u);
    close(root);
    return ok;
}
