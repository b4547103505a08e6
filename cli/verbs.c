/* SPDX-License-Identifier: Apache-2.0 */
/* Commands with a second word: see verbs.h. */
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "nearest.h"
#include "ops/exit.h"
#include "ops/image.h"

#define VERBS_MAX 64

const struct option verb_json_row = {.name = "json",
                                     .type = OPTION_FLAG,
                                     .offset = offsetof(struct verb_request, json),
                                     .help = "print JSON"};

static const struct verb *verb_find(const struct verb_family *family, const char *name)
{
    for (size_t i = 0; i < family->count; i++)
        if (strcmp(family->verbs[i].name, name) == 0)
            return &family->verbs[i];
    return NULL;
}

static void family_help(const struct command *self, const struct verb_family *family, FILE *to)
{
    fprintf(to, "usage: ops %s VERB ...\n\n%s.\n\n", self->name, self->summary);
    for (size_t i = 0; i < family->count; i++)
        fprintf(to, "  %-38s %s\n", family->verbs[i].usage, family->verbs[i].summary);
    if (self->text)
        fprintf(to, "\n%s", self->text);
    fprintf(to, "\n`ops %s VERB --help` lists the options.\n", self->name);
}

static void verb_help(const struct command *self, const struct verb *v)
{
    const struct option_table table = {v->options, v->option_count};
    printf("usage: ops %s %s\n\n%c%s.\n\noptions:\n", self->name, v->usage, v->summary[0] - 32,
           v->summary + 1);
    options_print(&table, stdout);
}

static bool verb_unknown(const struct command *self, const struct verb_family *family,
                         const char *name, struct err *err)
{
    const char *names[VERBS_MAX];
    size_t count = family->count < VERBS_MAX ? family->count : VERBS_MAX;
    for (size_t i = 0; i < count; i++)
        names[i] = family->verbs[i].name;
    const char *near = nearest_word(name, names, count);
    err_set(err, OPS_EXIT_USAGE, NULL, "ops %s has no verb %s", self->name, name);
    if (near)
        err_hint(err, "did you mean `ops %s %s`?", self->name, near);
    else
        err_hint(err, "`ops %s --help` lists them", self->name);
    return false;
}

/* Options may stand before, between and behind the operands. */
static bool words_take(const struct verb *v, struct verb_request *r, char **words, char **operands,
                       size_t *count, bool *help, struct err *err)
{
    const struct option_table table = {v->options, v->option_count};
    int next = 0;
    bool options = true;
    *count = 0;
    while (words[next] && !*help) {
        char *word = words[next];
        if (options && strcmp(word, "--") == 0) {
            options = false;
            next++;
        } else if (options && word[0] == '-' && word[1]) {
            if (!options_take(&table, r, words, &next, help, err))
                return false;
        } else {
            operands[(*count)++] = word;
            next++;
        }
    }
    operands[*count] = NULL;
    return true;
}

static bool verb_start(const struct command *self, const struct verb *v, struct verb_request *r,
                       char **words, int *status, struct err *err)
{
    size_t count = 0;
    bool help = false;
    while (words[count])
        count++;
    char **operands = alloc_array(NULL, count + 1, sizeof *operands);
    bool ok = words_take(v, r, words, operands, &count, &help, err);
    if (ok && help) {
        verb_help(self, v);
    } else if (ok && (count < v->least || count > v->most)) {
        ok = err_set(err, OPS_EXIT_USAGE, NULL, "too %s words for `ops %s %s`",
                     count < v->least ? "few" : "many", self->name, v->name);
        err_hint(err, "write `ops %s %s`", self->name, v->usage);
    } else if (ok) {
        ok = v->run(r, operands, count, status, err);
    }
    free(operands);
    return ok;
}

bool verbs_run(const struct command *self, const struct verb_family *family, char **words,
               int *status, struct err *err)
{
    struct verb_request r = {.family = family};
    if (!words[0]) {
        family_help(self, family, stderr);
        *status = OPS_EXIT_USAGE;
        return true;
    }
    if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0) {
        family_help(self, family, stdout);
        return true;
    }
    const struct verb *v = verb_find(family, words[0]);
    bool ok = v ? verb_start(self, v, &r, words + 1, status, err)
                : verb_unknown(self, family, words[0], err);
    strlist_free(&r.unset);
    return ok;
}

bool verb_spec(const char *word, char **name, char **path)
{
    const char *colon = strstr(word, ":/");
    bool inside = colon && colon > word;
    *name = inside ? alloc_bytes(word, (size_t)(colon - word)) : alloc_string(word);
    *path = alloc_string(inside ? colon + 1 : "/");
    return inside;
}

bool verb_open(const struct verb_request *r, const char *name, enum ext4file_mode mode,
               struct ext4file *f, struct err *err)
{
    *f = (struct ext4file){.fd = -1};
    char *file = r->family->place(name, err);
    bool ok = file && ext4file_open(f, file, OPS_ROOT_LABEL, mode, err);
    free(file);
    return ok;
}

char *verb_size(double bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    return alloc_printf(unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

/* A member whose name ends in Bytes is shown as a size, without that ending. */
static void member_print(const cJSON *m)
{
    size_t n = strlen(m->string), ending = strlen("Bytes");
    bool size = cJSON_IsNumber(m) && n > ending && strcmp(m->string + n - ending, "Bytes") == 0;
    printf("%-12.*s ", (int)(size ? n - ending : n), m->string);
    if (size) {
        char *text = verb_size(m->valuedouble);
        puts(text);
        free(text);
    } else if (cJSON_IsNumber(m)) {
        printf("%.0f\n", m->valuedouble);
    } else if (cJSON_IsString(m)) {
        puts(m->valuestring);
    } else if (cJSON_IsBool(m)) {
        puts(cJSON_IsTrue(m) ? "yes" : "no");
    } else {
        const cJSON *item;
        const char *before = "";
        cJSON_ArrayForEach(item, m)
        {
            printf("%s%s", before, cJSON_IsString(item) ? item->valuestring : "");
            before = "\n             ";
        }
        putchar('\n');
    }
}

void verb_print(const struct verb_request *r, const cJSON *object)
{
    if (!r->json) {
        for (const cJSON *m = object->child; m; m = m->next)
            member_print(m);
        return;
    }
    char *text = cJSON_Print(object);
    if (text)
        puts(text);
    free(text);
}

void verb_describe(const struct ext4file *f, cJSON *o)
{
    struct ext2_super_block *s = f->fs->super;
    struct stat st = {0};
    char label[17] = "", uuid[37];
    double block = f->fs->blocksize;
    double size = (double)ext2fs_blocks_count(s) * block;
    double available = (double)ext2fs_free_blocks_count(s) * block;
    memcpy(label, s->s_volume_name, 16);
    ext4file_uuid(s->s_uuid, uuid);
    cJSON_AddStringToObject(o, "label", label);
    cJSON_AddStringToObject(o, "uuid", uuid);
    cJSON_AddStringToObject(o, "state", ext4file_state(f));
    cJSON_AddNumberToObject(o, "sizeBytes", size);
    cJSON_AddNumberToObject(o, "usedBytes", size - available);
    cJSON_AddNumberToObject(o, "freeBytes", available);
    cJSON_AddNumberToObject(o, "files",
                            s->s_inodes_count - s->s_free_inodes_count - (EXT2_FIRST_INODE(s) - 1));
    cJSON_AddNumberToObject(o, "filesFree", s->s_free_inodes_count);
    if (fstat(f->fd, &st) == 0) {
        cJSON_AddNumberToObject(o, "fileBytes", (double)st.st_size);
        cJSON_AddNumberToObject(o, "diskBytes", (double)st.st_blocks * 512);
    }
}
