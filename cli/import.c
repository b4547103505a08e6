/* SPDX-License-Identifier: Apache-2.0 */
/* Runs ops-import: see import.h; what it prints, import/import.h says. */
#include "import.h"

#include <stdio.h>
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
    char *fault, *hint; /* NULL: none */
};

/* "progress 1048576 4194304 nginx.deb"; an unknown total is 0. */
static void progress_take(struct talk *t, const char *line)
{
    unsigned long long bytes, total;
    char text[128], name[80] = "";
    if (sscanf(line, "progress %llu %llu %79[^\n]", &bytes, &total, name) < 2)
        return;
    snprintf(text, sizeof text, "%s: %llu MiB", name, bytes >> 20);
    hold_bar(t->hold, total ? name : text, total ? (double)bytes / (double)total : -1);
}

static void text_replace(char **to, const char *text)
{
    free(*to);
    *to = alloc_string(text);
}

static bool line_take(void *context, char *line)
{
    struct talk *t = context;
    if (!hold_step(t->hold, 0, 0, t->err))
        return false;
    if (!line)
        return true;
    if (strncmp(line, "progress ", 9) == 0)
        progress_take(t, line);
    else if (strncmp(line, "ops: ", 5) == 0)
        text_replace(&t->fault, line + 5);
    else if (strncmp(line, "hint: ", 6) == 0)
        text_replace(&t->hint, line + 6);
    else if (strncmp(line, "note: ", 6) == 0)
        fprintf(stderr, "%s%s\n", t->hold->terminal ? "\r\033[K" : "", line + 6);
    else
        buf_addf(&t->said, "%s\n", line);
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
    strlist_add(&argv, "--status");
    strlist_add(&argv, "1");
    strlist_add_all(&argv, words);
    bool ok = child_lines(&argv, line_take, &t, &status, err) && status >= 0;
    if (ok && status != 0)
        ok = err_set(err, status, t.hint, "%s", t.fault ? t.fault : "ops-import failed");
    if (ok && said)
        *said = t.said;
    else
        buf_free(&t.said);
    strlist_free(&argv);
    free(t.fault);
    free(t.hint);
    free(tool);
    return ok;
}
