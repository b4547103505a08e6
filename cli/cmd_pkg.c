/* SPDX-License-Identifier: Apache-2.0 */
/* `ops pkg`: programs with all their files, made once and run anywhere. */
#include <fnmatch.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cmd_run.h"
#include "command.h"
#include "container.h"
#include "hostpath.h"
#include "launch.h"
#include "ops/exit.h"
#include "package.h"
#include "package_add.h"
#include "package_make.h"
#include "package_ref.h"
#include "package_store.h"
#include "package_write.h"
#include "recipe.h"
#include "settings.h"
#include "verbs.h"
#include "verbs_repo.h"

static const char *text_of(const cJSON *o, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
    return text ? text : "";
}

/* Bytes of the files in the package's list; -1: it cannot be read. */
static double package_bytes(const char *dir)
{
    struct mtree m;
    struct err ignored = {0};
    double bytes = 0;
    char *list = path_join(dir, PACKAGE_LIST);
    if (!mtree_read(&m, list, &ignored))
        bytes = -1;
    for (size_t i = 0; bytes >= 0 && i < m.count; i++)
        if (m.entries[i].kind == TREE_FILE)
            bytes += (double)m.entries[i].size / m.entries[i].nlink;
    mtree_free(&m);
    err_free(&ignored);
    free(list);
    return bytes;
}

/* An object about the package `entry` of the store; NULL: it is gone or damaged. */
static cJSON *package_describe(const char *entry)
{
    struct err ignored = {0};
    char *word = alloc_string(entry), *name, *version;
    word[strcspn(word, "_")] = strchr(word, '_') ? ':' : 0;
    char *dir = package_store_need(word, &ignored);
    cJSON *manifest = dir ? package_manifest(dir, &ignored) : NULL, *o = NULL;
    if (manifest) {
        package_split(entry, &name, &version);
        o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", name);
        cJSON_AddStringToObject(o, "version", version);
        cJSON_AddStringToObject(o, "description", text_of(manifest, "Description"));
        cJSON_AddStringToObject(o, "program", text_of(manifest, "Program"));
        cJSON_AddNumberToObject(o, "sizeBytes", package_bytes(dir));
        cJSON_AddStringToObject(o, "directory", dir);
        free(version);
        free(name);
    }
    cJSON_Delete(manifest);
    err_free(&ignored);
    free(word);
    free(dir);
    return o;
}

static bool list_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct strlist names = {0};
    (void)operands, (void)count, (void)status;
    if (!package_store_names(&names, err))
        return false;
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < names.count; i++) {
        cJSON *o = package_describe(names.items[i]);
        if (o)
            cJSON_AddItemToArray(list, o);
    }
    if (r->json) {
        verb_print(r, list);
    } else if (list->child) {
        printf("%-16s %-16s %-10s %s\n", "NAME", "VERSION", "SIZE", "DESCRIPTION");
        for (const cJSON *o = list->child; o; o = o->next) {
            char *size = verb_size(cJSON_GetNumberValue(cJSON_GetObjectItem(o, "sizeBytes")));
            printf("%-16s %-16s %-10s %s\n", text_of(o, "name"), text_of(o, "version"), size,
                   text_of(o, "description"));
            free(size);
        }
    }
    cJSON_Delete(list);
    strlist_free(&names);
    return true;
}

/* An object about a recipe; NULL: it is not one that `wanted` (NULL: all) matches. */
static cJSON *recipe_describe(const char *name, const regex_t *wanted)
{
    struct recipe r;
    struct err ignored = {0};
    bool found;
    cJSON *o = NULL;
    char *dir = NULL, *version = NULL, *same = NULL;
    if (recipe_load(&r, name, &found, &ignored) && found &&
        (!wanted || regexec(wanted, name, 0, NULL, 0) == 0 ||
         regexec(wanted, recipe_text(&r, "Description"), 0, NULL, 0) == 0)) {
        if (package_store_find(name, NULL, &dir, &ignored) && dir)
            package_split(dir, &same, &version);
        o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", name);
        cJSON_AddStringToObject(o, "description", recipe_text(&r, "Description"));
        cJSON_AddStringToObject(o, "language", recipe_text(&r, "Language"));
        cJSON_AddStringToObject(o, "here", version ? version : "");
    }
    recipe_free(&r);
    err_free(&ignored);
    free(version);
    free(same);
    free(dir);
    return o;
}

static bool search_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    struct strlist names = {0};
    regex_t wanted;
    (void)status;
    if (count && regcomp(&wanted, operands[0], REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
        return err_set(err, OPS_EXIT_USAGE, "an extended regular expression, as of grep -E",
                       "%s is not an expression", operands[0]);
    bool ok = recipe_names(&names, err);
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; ok && i < names.count; i++) {
        cJSON *o = recipe_describe(names.items[i], count ? &wanted : NULL);
        if (o)
            cJSON_AddItemToArray(list, o);
    }
    if (ok && r->json)
        verb_print(r, list);
    for (const cJSON *o = ok && !r->json ? list->child : NULL; o; o = o->next)
        printf("%-16s %-12s %s\n", text_of(o, "name"),
               *text_of(o, "here") ? text_of(o, "here") : "-", text_of(o, "description"));
    cJSON_Delete(list);
    strlist_free(&names);
    if (count)
        regfree(&wanted);
    return ok;
}

static bool get_run(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    bool ok = true;
    (void)r, (void)status;
    for (size_t i = 0; ok && i < count; i++) {
        bool made = true;
        char *dir = container_is(operands[i]) ? container_get(operands[i], NULL, true, err)
                                              : package_get(operands[i], &made, err);
        ok = dir != NULL;
        if (ok)
            printf("%s\t%s\n", path_basename(dir), made ? "made" : "unchanged");
        free(dir);
    }
    return ok;
}

/* The README of a package that is not here yet: its recipe's. */
static bool recipe_readme(const char *name, struct err *err)
{
    struct recipe r;
    struct err ignored = {0};
    bool found;
    bool there = recipe_load(&r, name, &found, &ignored) && found;
    char *path = there ? path_join(r.dir, PACKAGE_README) : NULL;
    char *text = there ? path_read(path, 1 << 20, NULL, err) : NULL;
    if (text)
        fputs(text, stdout);
    recipe_free(&r);
    err_free(&ignored);
    free(path);
    free(text);
    return there;
}

static bool readme_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    struct err none = {0};
    (void)r, (void)count, (void)status;
    char *dir = package_store_need(operands[0], err);
    if (!dir && recipe_readme(operands[0], &none)) {
        err_free(err);
        err_free(&none);
        return true;
    }
    cJSON *manifest = dir ? package_manifest(dir, err) : NULL;
    char *path = dir ? path_join(dir, PACKAGE_README) : NULL;
    char *text = manifest ? path_read(path, 1 << 20, NULL, &none) : NULL;
    if (text)
        fputs(text, stdout);
    else if (manifest)
        printf("%s\n", text_of(manifest, "Description"));
    bool ok = manifest != NULL;
    cJSON_Delete(manifest);
    err_free(&none);
    free(text);
    free(path);
    free(dir);
    return ok;
}

static bool contents_run(const struct verb_request *r, char **operands, size_t count, int *status,
                         struct err *err)
{
    static const char kinds[] = {[TREE_DIR] = 'd', [TREE_FILE] = '-', [TREE_LINK] = 'l'};
    struct mtree m = {0};
    (void)count, (void)status;
    char *dir = package_store_need(operands[0], err);
    char *list = dir ? path_join(dir, PACKAGE_LIST) : NULL;
    bool ok = list && mtree_read(&m, list, err);
    for (size_t i = 0; ok && i < m.count; i++) {
        const struct mtree_entry *e = &m.entries[i];
        if (r->details)
            printf("%c%04o %5u %5u %10llu ", kinds[e->kind], e->mode, e->uid, e->gid,
                   (unsigned long long)e->size);
        printf("%s%s%s\n", e->path, e->link ? " -> " : "", e->link ? e->link : "");
    }
    mtree_free(&m);
    free(list);
    free(dir);
    return ok;
}

static bool delete_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    bool ok = true;
    (void)r, (void)status;
    for (size_t i = 0; ok && i < count; i++)
        ok = package_store_delete(operands[i], err);
    return ok;
}

static bool verify_one(const char *word, int *status, struct err *err)
{
    struct mtree m = {0};
    struct strlist faults = {0};
    char *dir = package_store_need(word, err);
    char *list = dir ? path_join(dir, PACKAGE_LIST) : NULL;
    char *root = dir ? path_join(dir, PACKAGE_ROOT) : NULL;
    bool ok = list && mtree_read(&m, list, err) && mtree_verify(&m, root, &faults, err);
    for (size_t i = 0; ok && i < faults.count; i++)
        printf("%s\t%s\n", path_basename(dir), faults.items[i]);
    if (faults.count)
        *status = OPS_EXIT_FAILED;
    strlist_free(&faults);
    mtree_free(&m);
    free(root);
    free(list);
    free(dir);
    return ok;
}

/* All of the store if none is named. */
static bool verify_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    struct strlist names = {0};
    (void)r;
    bool ok = count > 0 || package_store_names(&names, err);
    for (size_t i = 0; ok && i < count; i++)
        ok = verify_one(operands[i], status, err);
    for (size_t i = 0; ok && i < names.count; i++) {
        char *line = strchr(names.items[i], '_');
        if (line)
            *line = ':';
        ok = verify_one(names.items[i], status, err);
    }
    strlist_free(&names);
    return ok;
}

/* What the package `dir` was made of; NULL: not of a recipe. */
static cJSON *origin_read(const char *dir)
{
    struct err ignored = {0};
    char *path = path_join(dir, PACKAGE_ORIGIN);
    char *text = path_read(path, 1 << 20, NULL, &ignored);
    cJSON *o = text ? cJSON_Parse(text) : NULL;
    err_free(&ignored);
    free(text);
    free(path);
    return o;
}

static bool outdated_one(const char *entry, int *status, struct err *err)
{
    struct recipe r = {0};
    char *name, *version, *dir = NULL, *now = NULL;
    cJSON *origin = NULL;
    bool found = false;
    package_split(entry, &name, &version);
    bool ok = package_store_find(name, version, &dir, err);
    cJSON *old = ok && dir ? origin_read(dir) : NULL;
    if (old)
        ok = recipe_load(&r, text_of(old, "Recipe"), &found, err) &&
             (!found || package_newest(&r, &now, &origin, err));
    if (ok && origin && !cJSON_Compare(old, origin, true)) {
        printf("%s\t%s\t%s\n", name, version, now);
        *status = OPS_EXIT_FAILED;
    }
    recipe_free(&r);
    cJSON_Delete(origin);
    cJSON_Delete(old);
    free(now);
    free(dir);
    free(version);
    free(name);
    return ok;
}

static bool outdated_run(const struct verb_request *r, char **operands, size_t count, int *status,
                         struct err *err)
{
    struct strlist names = {0};
    (void)r, (void)operands, (void)count;
    bool ok = package_store_names(&names, err);
    for (size_t i = 0; ok && i < names.count; i++)
        ok = outdated_one(names.items[i], status, err);
    strlist_free(&names);
    return ok;
}

static bool add_run(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    (void)count, (void)status;
    char *dir = package_add(operands[0], r->name, r->version, err);
    if (dir)
        puts(path_basename(dir));
    free(dir);
    return dir != NULL;
}

static const struct command load_help = {
    .name = "load",
    .usage = "pkg load [OPTION...] NAME[:VERSION] [OPTION...] [--] [ARGUMENT...]",
    .summary = "run a package, made first if it is not there",
    .text = "The options are those of `ops run`, for which the package is called pkg:NAME. The\n"
            "arguments follow those of the package; the first one that begins with a dash stands\n"
            "behind `--`, or is given by -a.\n",
    .options = &run_options,
};

/* The words of `ops run`: the options, also those behind the package's name, what means the package
 * there, and its arguments. Freed with strlist_free(). */
static bool load_words(char **words, struct strlist *to, bool *help, struct err *err)
{
    struct request probe = {0};
    int next = 0, name;
    bool ok = options_parse(&run_options, &probe, words, &next, help, err);
    name = next;
    if (ok && !*help && !words[name])
        ok = err_set(err, OPS_EXIT_USAGE, "write `ops pkg load NAME`", "no package is given");
    for (next = name + 1; ok && !*help && words[next] && words[next][0] == '-' && words[next][1];)
        if (strcmp(words[next], "--") == 0 ||
            !(ok = options_take(&run_options, &probe, words, &next, help, err)))
            break;
    request_free(&probe);
    if (!ok || *help)
        return ok;
    for (int i = 0; i < next; i++)
        if (i != name && strcmp(words[i], "--") != 0)
            strlist_add(to, words[i]);
    strlist_add(to, "--");
    strlist_addf(to, "%s%s", package_ref_is(words[name]) ? "" : "pkg:", words[name]);
    for (char **w = words + next + (words[next] && strcmp(words[next], "--") == 0); *w; w++)
        strlist_add(to, *w);
    return true;
}

static bool load(char **words, int *status, struct err *err)
{
    struct strlist run = {0};
    bool help = false;
    bool ok = load_words(words, &run, &help, err);
    if (ok && help)
        command_help(&load_help);
    else if (ok)
        ok = cmd_run.run(&cmd_run, run.items, status, err);
    strlist_free(&run);
    return ok;
}

static const struct option from_rows[] = {
    LAUNCH_OPTIONS,
    {.name = "name",
     .letter = 'n',
     .type = OPTION_TEXT,
     .offset = offsetof(struct request, name),
     .argument = "NEW",
     .help = "name of the package (default: the program's)"},
    {.name = "version",
     .type = OPTION_TEXT,
     .offset = offsetof(struct request, version),
     .argument = "VERSION",
     .help = "its version (default 0)"},
};
static const struct option_table from_options = {from_rows, sizeof from_rows / sizeof from_rows[0]};

static const struct command from_help = {
    .name = "from-run",
    .usage = "pkg from-run [OPTION...] PROGRAM [ARGUMENT...]",
    .summary = "make a package of what `ops run` would run",
    .text = "PROGRAM may be a package (pkg:NAME) or a container image (oci:DIR, docker://NAME).\n"
            "Prints name and version; a package of those is replaced.\n",
    .options = &from_options,
};

static bool from_make(const struct request *r, struct err *err)
{
    struct plan p = {0};
    bool answered = false;
    char *dir = NULL;
    bool ok = plan_make(&p, r, true, err) && launch_answer(&p, r, &answered, err);
    if (ok && !answered) {
        const char *name = r->settings.name ? r->settings.name : path_basename(p.program);
        ok = package_write(&p, name, r->version ? r->version : "0", &dir, err);
        if (ok)
            puts(path_basename(dir));
    }
    plan_free(&p);
    free(dir);
    return ok;
}

/* from-run, from-pkg and from-oci; the operand of from-pkg is a package's name. */
static bool from(const char *verb, char **words, struct err *err)
{
    struct request r = {0};
    bool help;
    int next = 0;
    char *changed = NULL;
    bool ok = options_parse(&from_options, &r, words, &next, &help, err);
    r.operands = words + next;
    if (ok && help) {
        command_help(&from_help);
    } else if (ok && !r.operands[0]) {
        ok = err_set(err, OPS_EXIT_USAGE, NULL, "nothing is given to make a package of");
        err_hint(err, "write `ops pkg %s %s`", verb, strcmp(verb, "from-run") ? "NAME" : "PROGRAM");
    } else if (ok) {
        if (strcmp(verb, "from-pkg") == 0)
            r.operands[0] = changed = alloc_printf("pkg:%s", r.operands[0]);
        ok = settings_load(&r, NULL, err) && from_make(&r, err);
    }
    request_free(&r);
    free(changed);
    return ok;
}

static const struct option add_rows[] = {
    {.name = "name",
     .letter = 'n',
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, name),
     .argument = "NEW",
     .help = "name of the package (default: the directory's)"},
    {.name = "version",
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, version),
     .argument = "VERSION",
     .help = "its version (default: its manifest's)"},
};

static const struct option contents_row = {.name = "long",
                                           .letter = 'l',
                                           .type = OPTION_FLAG,
                                           .offset = offsetof(struct verb_request, details),
                                           .help = "with modes, owners and sizes"};

static const struct option publish_rows[] = {
    {.name = "key",
     .letter = 'k',
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, key),
     .argument = "FILE",
     .help = "the secret key that signs (`ops pkg repo key`)"},
    {.name = "days",
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, days),
     .argument = "N",
     .help = "how long the index is good (default 365)"},
};

static const struct verb pkg_verbs[] = {
    {"list", "list [--json]", "list the packages that are here", &verb_json_row, 1, 0, 0, list_run},
    {"search", "search [REGEX] [--json]", "list what can be had", &verb_json_row, 1, 0, 1,
     search_run},
    {"get", "get NAME[:VERSION]...", "make packages of the distribution's", NULL, 0, 1, SIZE_MAX,
     get_run},
    {"load", "load [OPTION...] NAME [ARGUMENT...]", "run one, made first if it is not here", NULL,
     0, 0, SIZE_MAX, NULL},
    {"describe", "describe NAME", "print its README", NULL, 0, 1, 1, readme_run},
    {"contents", "contents [-l] NAME", "list its files", &contents_row, 1, 1, 1, contents_run},
    {"add", "add [-n NEW] DIR|FILE.tar.gz", "take a package from elsewhere", add_rows, 2, 1, 1,
     add_run},
    {"from-run", "from-run [OPTION...] PROGRAM...", "make one of what `ops run` would run", NULL, 0,
     0, SIZE_MAX, NULL},
    {"from-pkg", "from-pkg [OPTION...] NAME...", "make one of another and more files", NULL, 0, 0,
     SIZE_MAX, NULL},
    {"from-oci", "from-oci [OPTION...] IMAGE...", "make one of a container image", NULL, 0, 0,
     SIZE_MAX, NULL},
    {"repo", "repo list|add NAME URL KEY|remove NAME|key FILE",
     "where finished packages are asked for", &verb_json_row, 1, 1, 4, verb_repo},
    {"publish", "publish DIR [NAME...] --key FILE", "write a repository for others", publish_rows,
     2, 1, SIZE_MAX, verb_publish},
    {"verify", "verify [NAME...]", "compare them with their lists; status 1 if damaged", NULL, 0, 0,
     SIZE_MAX, verify_run},
    {"outdated", "outdated", "list those the distribution has newer; status 1 if any", NULL, 0, 0,
     0, outdated_run},
    {"delete", "delete NAME[:VERSION]...", "delete packages", NULL, 0, 1, SIZE_MAX, delete_run},
};

static const struct verb_family family = {.verbs = pkg_verbs,
                                          .count = sizeof pkg_verbs / sizeof pkg_verbs[0],
                                          .names = NAMES_FILES,
                                          .program = &run_options};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    if (words[0] && strcmp(words[0], "load") == 0)
        return load(words + 1, status, err);
    if (words[0] && (strcmp(words[0], "from-run") == 0 || strcmp(words[0], "from-pkg") == 0 ||
                     strcmp(words[0], "from-oci") == 0))
        return from(words[0], words + 1, err);
    return verbs_run(self, &family, words, status, err);
}

const struct command cmd_pkg = {
    .name = "pkg",
    .usage = "pkg VERB ...",
    .summary = "prebuilt programs: nginx, redis, python3, node, ...",
    .text = "A package is a program with all its files, in $XDG_DATA_HOME/ops/packages. They are\n"
            "made of the distribution's own packages, which its signed index vouches for; nothing\n"
            "is installed, and no root rights are needed. `ops run pkg:NAME` runs one, too.\n",
    .verbs = &family,
    .run = run,
};
