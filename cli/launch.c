/* SPDX-License-Identifier: Apache-2.0 */
/* What `run` and `build` share: see launch.h. */
#include "launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"

bool launch_answer(const struct plan *p, const struct request *r, bool *done, struct err *err)
{
    struct buf text = {0};
    *done = r->list_files || r->print_manifest;
    if (r->list_files)
        plan_print(p);
    bool ok = !r->print_manifest || manifest_write(&p->manifest, &text, err);
    if (ok && text.size)
        fwrite(text.data, 1, text.size, stdout);
    buf_free(&text);
    return ok;
}

char *launch_kernel(const struct request *r, struct err *err)
{
    static const char *const places[] = {"kernel.elf", "../share/ops/kernel.elf"};
    if (r->kernel) {
        if (access(r->kernel, R_OK) == 0)
            return alloc_string(r->kernel);
        err_errno(err, "open", r->kernel);
        return NULL;
    }
    char *self = realpath("/proc/self/exe", NULL);
    char *dir = path_dirname(self ? self : "/"), *found = NULL;
    for (size_t i = 0; !found && i < sizeof places / sizeof places[0]; i++) {
        char *joined = path_join(dir, places[i]);
        found = path_normal(joined);
        free(joined);
        if (access(found, R_OK) < 0) {
            free(found);
            found = NULL;
        }
    }
    if (!found)
        err_set(err, OPS_EXIT_FAILED, "install the tool with its kernel, or name one with --kernel",
                "cannot find kernel.elf beside %s", self ? self : "the tool");
    free(dir);
    free(self);
    return found;
}
