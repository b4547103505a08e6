/* SPDX-License-Identifier: Apache-2.0 */
/* Completion of a command line: see complete.h. */
#include "complete.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "command.h"
#include "image_store.h"
#include "instance.h"
#include "instance_store.h"
#include "verbs.h"
#include "volume_store.h"

struct place {
    const struct command *command;
    const struct verb *verb; /* NULL: the command has none */
    struct option_table options;
    bool program_ends;         /* options end at the first operand */
    size_t operands;           /* before the cursor */
    const struct option *open; /* its value is at the cursor */
};

static void offer(struct strlist *pairs, const char *prefix, const char *word, const char *text)
{
    if (strncmp(word, prefix, strlen(prefix)) != 0)
        return;
    strlist_add(pairs, word);
    strlist_add(pairs, text);
}

static void offer_names(struct strlist *pairs, const char *prefix, const struct strlist *names,
                        const char *text, bool more)
{
    for (size_t i = 0; i < names->count; i++) {
        char *word = alloc_printf("%s%s", names->items[i], more ? ":/" : "");
        offer(pairs, prefix, word, text);
        free(word);
    }
}

static void offer_instances(struct strlist *pairs, const char *prefix)
{
    struct strlist names = {0}, running = {0};
    struct err ignored = {0};
    store_names(&names, &ignored);
    instance_names(&running);
    for (size_t i = 0; i < running.count; i++)
        if (!strlist_has(&names, running.items[i]))
            strlist_add(&names, running.items[i]);
    offer_names(pairs, prefix, &names, "instance", false);
    strlist_free(&names);
    strlist_free(&running);
    err_free(&ignored);
}

static void offer_volumes(struct strlist *pairs, const char *prefix, bool more)
{
    struct strlist names = {0};
    struct err ignored = {0};
    volume_names(&names, &ignored);
    offer_names(pairs, prefix, &names, "volume", more);
    strlist_free(&names);
    err_free(&ignored);
}

static void offer_images(struct strlist *pairs, const char *prefix)
{
    struct strlist names = {0};
    struct err ignored = {0};
    image_store_names(&names, &ignored);
    offer_names(pairs, prefix, &names, "image", false);
    strlist_free(&names);
    err_free(&ignored);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What a value called `what` in the help may be. */
static enum complete_more offer_value(struct strlist *pairs, const char *prefix, const char *what,
                                      const struct place *p)
{
    const struct verb_family *family = p->command->verbs;
    bool named = begins(what, "NAME") || begins(what, "SOURCE") || begins(what, "TARGET");
    int names = family ? (int)family->names : NAMES_FILES;
    if (begins(what, "VOLUME") || (named && names == NAMES_VOLUMES))
        offer_volumes(pairs, prefix, strstr(what, ":/") || !begins(what, "NAME"));
    if (begins(what, "NAME:/path") && !family)
        offer_volumes(pairs, prefix, true);
    if (begins(what, "IMAGE") || (begins(what, "FILE") && p->command == &cmd_image))
        offer_images(pairs, prefix);
    if (begins(what, "INSTANCE") || (begins(what, "NAME") && names == NAMES_INSTANCES))
        offer_instances(pairs, prefix);
    if (strchr(what, '|') && !strchr(what, '[')) {
        struct strlist words = {0};
        strlist_split(&words, what, "|");
        for (size_t i = 0; i < words.count; i++)
            offer(pairs, prefix, words.items[i], "");
        strlist_free(&words);
    }
    if (begins(what, "DIR"))
        return COMPLETE_DIRS;
    return begins(what, "FILE") || begins(what, "PROGRAM") || begins(what, "NAME=FILE") ||
                   begins(what, "SOURCE") || begins(what, "TARGET")
               ? COMPLETE_FILES
               : COMPLETE_NOTHING;
}

/* The name of the nth operand in a usage: words that are no option nor an option's value. */
static char *operand_name(const char *usage, size_t n)
{
    struct strlist words = {0};
    char *found = NULL, *last = NULL;
    strlist_split(&words, usage, " ");
    for (size_t i = 1; i < words.count && !found; i++) { /* behind the verb itself */
        const char *w = words.items[i];
        bool option = begins(w, "[-") || begins(w, "-") || begins(w, "[OPTION");
        if (option) {
            if (begins(w, "[-") && !strchr(w, ']'))
                i++; /* its value */
            continue;
        }
        last = words.items[i] + (*w == '[');
        if (n-- == 0 || strstr(w, "..."))
            found = last;
    }
    found = found ? alloc_bytes(found, strcspn(found, "].")) : NULL;
    strlist_free(&words);
    return found;
}

static const struct option *option_of(const struct option_table *t, const char *word)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct option *o = &t->rows[i];
        size_t n = strlen(word);
        if (word[1] == '-' ? strcmp(word + 2, o->name) == 0 : o->letter == word[n - 1])
            return o;
    }
    return NULL;
}

/* Reads the words before the cursor. */
static void place_read(struct place *p, char **words, size_t count)
{
    bool options = true;
    for (size_t i = 0; i < count; i++) {
        const char *w = words[i];
        p->open = NULL;
        if (options && strcmp(w, "--") == 0) {
            options = false;
        } else if (options && w[0] == '-' && w[1]) {
            const struct option *o = option_of(&p->options, w);
            bool value = o && (o->type == OPTION_TEXT || o->type == OPTION_LIST);
            if (value && i + 1 < count)
                i++;
            else if (value)
                p->open = o;
        } else {
            p->operands++;
            options = options && !p->program_ends;
        }
    }
}

static void offer_options(const struct place *p, const char *prefix, struct strlist *pairs)
{
    for (size_t i = 0; i < p->options.count; i++) {
        const struct option *o = &p->options.rows[i];
        char *word = alloc_printf("--%s", o->name);
        offer(pairs, prefix, word, o->help);
        free(word);
    }
    offer(pairs, prefix, "--help", "this text");
}

/* --name=... at the cursor. */
static enum complete_more offer_joined(const struct place *p, const char *word,
                                       struct strlist *pairs)
{
    size_t n = strcspn(word, "=");
    char *name = alloc_bytes(word, n);
    const struct option *o = option_of(&p->options, name);
    struct strlist values = {0};
    enum complete_more more = COMPLETE_NOTHING;
    if (o && o->argument)
        more = offer_value(&values, word + n + 1, o->argument, p);
    for (size_t i = 0; i + 1 < values.count; i += 2) {
        strlist_addf(pairs, "%s=%s", name, values.items[i]);
        strlist_add(pairs, values.items[i + 1]);
    }
    strlist_free(&values);
    free(name);
    return more;
}

static enum complete_more offer_here(const struct place *p, const char *word, struct strlist *pairs)
{
    bool past = p->program_ends && p->operands > 0;
    if (p->open)
        return offer_value(pairs, word, p->open->argument, p);
    if (!past && begins(word, "--") && strchr(word, '='))
        return offer_joined(p, word, pairs);
    if (!past && word[0] == '-') {
        offer_options(p, word, pairs);
        return COMPLETE_NOTHING;
    }
    if (p->program_ends)
        return COMPLETE_FILES; /* the program, and what it may want */
    char *what =
        p->verb && p->operands < p->verb->most ? operand_name(p->verb->usage, p->operands) : NULL;
    enum complete_more more = what ? offer_value(pairs, word, what, p) : COMPLETE_NOTHING;
    free(what);
    return more;
}

static const struct verb *verb_of(const struct command *c, const char *name)
{
    for (size_t i = 0; i < c->verbs->count; i++)
        if (strcmp(c->verbs->verbs[i].name, name) == 0)
            return &c->verbs->verbs[i];
    return NULL;
}

static void offer_commands(const char *prefix, struct strlist *pairs)
{
    for (size_t i = 0; command_at(i); i++)
        offer(pairs, prefix, command_at(i)->name, command_at(i)->summary);
    offer(pairs, prefix, "help", "this text");
}

enum complete_more complete_words(char **words, size_t count, struct strlist *pairs)
{
    struct place p = {.command = count > 1 ? command_find(words[0]) : NULL};
    if (count <= 1 || (count == 2 && strcmp(words[0], "help") == 0))
        offer_commands(count ? words[count - 1] : "", pairs);
    if (!p.command)
        return COMPLETE_NOTHING;
    const char *word = words[count - 1];
    size_t first = 1;
    if (p.command->verbs && count == 2) {
        for (size_t i = 0; i < p.command->verbs->count; i++)
            offer(pairs, word, p.command->verbs->verbs[i].name, p.command->verbs->verbs[i].summary);
        offer(pairs, word, "--help", "this text");
        return COMPLETE_NOTHING;
    }
    if (p.command->verbs) {
        if (!(p.verb = verb_of(p.command, words[first++])))
            return COMPLETE_NOTHING;
        p.options = (struct option_table){p.verb->options, p.verb->option_count};
        p.program_ends = !p.verb->run;
        if (p.program_ends)
            p.options = *p.command->verbs->program;
    } else {
        p.options = *p.command->options;
        p.program_ends = strstr(p.command->usage, "PROGRAM") != NULL;
    }
    place_read(&p, words + first, count - 1 - first);
    return offer_here(&p, word, pairs);
}
