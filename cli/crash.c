/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of crashes: see crash.h. */
#include "crash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

#define TEXT_MOST 65536 /* bytes, beside the last line */

void crash_add_line(struct crash *c, const char *line)
{
    if (c->text.size < TEXT_MOST)
        buf_addf(&c->text, "  %s\n", line);
}

/* The host's file behind a path of the guest, which may say anything: only what went into the image
 * is opened here. NULL: it did not. */
static const char *host_file(const struct crash *c, const char *path)
{
    const struct tree_entry *e = c->tree ? tree_find(c->tree, path) : NULL;
    return e && e->kind == TREE_FILE ? e->source : NULL;
}

void crash_add_frame(struct crash *c, const char *line)
{
    char how[8];
    uint64_t address, offset;
    int used = 0;
    if (sscanf(line, "%7s %" SCNx64 " %" SCNx64 " %n", how, &address, &offset, &used) < 3) {
        crash_add_line(c, line);
        return;
    }
    const char *path = line + used, *file = host_file(c, path);
    if (c->text.size >= TEXT_MOST)
        return;
    bool pc = strcmp(how, "pc") == 0;
    /* A return address may lie behind its function: the call itself is one byte before. */
    uint64_t into;
    char *name = file ? symbols_find(file, pc ? offset : offset - 1, &into) : NULL;
    buf_addf(&c->text, "  #%-2u %s 0x%012" PRIx64, c->frames++,
             strcmp(how, "scan") == 0 ? "?" : " ", address);
    if (name)
        buf_addf(&c->text, " %s+0x%" PRIx64, name, pc ? into : into + 1);
    if (*path)
        buf_addf(&c->text, " (%s+0x%" PRIx64 ")", path, offset);
    buf_addf(&c->text, "\n");
    free(name);
}

void crash_print(const struct crash *c, FILE *to)
{
    if (c->text.size)
        fwrite(c->text.data, 1, c->text.size, to);
    if (c->text.size && memmem(c->text.data, c->text.size, " ? 0x", 5))
        fputs("  (?: found on the stack, perhaps not a caller)\n", to);
}

void crash_free(struct crash *c)
{
    buf_free(&c->text);
}
