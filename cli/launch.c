/* SPDX-License-Identifier: Apache-2.0 */
/* What `run` and `build` share: see launch.h. */
#include "launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "toolfile.h"

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
    if (r->kernel) {
        if (access(r->kernel, R_OK) == 0)
            return alloc_string(r->kernel);
        err_errno(err, "open", r->kernel);
        return NULL;
    }
    char *found = tool_file("kernel.elf", err);
    if (!found)
        err_hint(err, "install the tool with its kernel, or name one with --kernel");
    return found;
}
