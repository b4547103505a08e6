/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the tool: see toolfile.h. */
#include "toolfile.h"

#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"

char *tool_file(const char *name, struct err *err)
{
    static const char *const places[] = {"", "../share/ops", "../libexec/ops"};
    char *self = realpath("/proc/self/exe", NULL);
    char *dir = path_dirname(self ? self : "/"), *found = NULL;
    for (size_t i = 0; !found && i < sizeof places / sizeof places[0]; i++) {
        char *joined = alloc_printf("%s/%s/%s", dir, places[i], name);
        found = path_normal(joined);
        free(joined);
        if (access(found, R_OK) < 0) {
            free(found);
            found = NULL;
        }
    }
    if (!found)
        err_set(err, OPS_EXIT_FAILED, "install all of the tool (`make install`)",
                "cannot find %s beside %s", name, self ? self : "the tool");
    free(dir);
    free(self);
    return found;
}
