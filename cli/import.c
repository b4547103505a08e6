/* SPDX-License-Identifier: Apache-2.0 */
/* Runs ops-import: see import.h. What it prints on a line that begins with a colon is progress. */
#include "import.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "child.h"
#include "ops/exit.h"
#include "toolfile.h"

struct talk {
    struct hold *hold;
    struct err *err;
    struct buf said;
    char *last; /* line, NULL: none */
};

static bool line_take(void *context, char *line)
{
    struct talk *t = context;
    if (!hold_step(t->hold, 0, 0, t->err))
        return false;
    if (line && line[0] == ':') {
        hold_note(t->hold, line + 1);
    } else if (line) {
        buf_addf(&t->said, "%s\n", line);
        free(t->last);
        t->last = alloc_string(line);
    }
    return true;
}

bool import_run(const struct strlist *words, struct hold *h, struct buf *said, struct err *err)
{
    struct talk t = {.hold = h, .err = err};
    struct strlist argv = {0};
    int status = 0;
    char *tool = tool_file("ops-import", err);
    if (!tool)
        return false;
    strlist_add(&argv, tool);
    strlist_add_all(&argv, words);
    bool ok = child_lines(&argv, line_take, &t, &status, err) && status >= 0;
    if (ok && status != 0)
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s", t.last ? t.last : "ops-import failed");
    if (ok && said)
        *said = t.said;
    else
        buf_free(&t.said);
    strlist_free(&argv);
    free(t.last);
    free(tool);
    return ok;
}
