/* SPDX-License-Identifier: Apache-2.0 */
/* The distribution's packages: see apt.h, apt-get(8), apt-cache(8), apt.conf(5). */
#include "apt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "child.h"
#include "digest.h"
#include "hostpath.h"
#include "ops/exit.h"

#define APT_GET   "/usr/bin/apt-get"
#define APT_CACHE "/usr/bin/apt-cache"
#define APT_DAY   (24 * 60 * 60)
#define APT_STAMP "fetched" /* its time is that of the index */

bool apt_open(struct apt *a, struct hold *h, struct err *err)
{
    static const char *const dirs[] = {"state/lists/partial", "cache/archives/partial", "files"};
    *a = (struct apt){.lock = -1, .hold = h};
    if (access(APT_GET, X_OK) < 0 || access("/usr/bin/gpgv", X_OK) < 0)
        return err_set(err, OPS_EXIT_FAILED,
                       "`ops pkg repo add` names a repository of finished packages",
                       "packages are made from Debian's or Ubuntu's, and this machine has no apt");
    a->dir = path_user("XDG_CACHE_HOME", ".cache", "ops/apt", err);
    bool ok = a->dir != NULL;
    for (size_t i = 0; ok && i < sizeof dirs / sizeof dirs[0]; i++) {
        char *dir = path_join(a->dir, dirs[i]);
        ok = path_make_dirs(dir) || err_errno(err, "write", dir);
        free(dir);
    }
    return ok && (a->lock = path_lock(a->dir, err)) >= 0;
}

void apt_close(struct apt *a)
{
    if (a->lock >= 0)
        close(a->lock);
    free(a->dir);
    *a = (struct apt){.lock = -1};
}

/* A command line up to the tool's own words: its files are in our directory. */
static void command_start(const struct apt *a, struct strlist *argv, const char *tool)
{
    strlist_addf(argv, "/usr/bin/env");
    strlist_addf(argv, "-C%s/files", a->dir);
    strlist_addf(argv, "LC_ALL=C.UTF-8");
    strlist_addf(argv, "%s", tool);
    strlist_addf(argv, "-oDir::State=%s/state", a->dir);
    strlist_addf(argv, "-oDir::Cache=%s/cache", a->dir);
    /* The index as apt has parsed it is kept: images of containers turn that off for their own. */
    strlist_addf(argv, "-oDir::Cache::pkgcache=pkgcache.bin");
    strlist_addf(argv, "-oDir::State::status=/dev/null");
    strlist_addf(argv, "-oAPT::Sandbox::User=");
    strlist_addf(argv, "-oAPT::Architecture=amd64");
    strlist_addf(argv, "-oAPT::Architectures::=amd64");
    strlist_addf(argv, "-oAcquire::Languages=none");
    strlist_addf(argv, "-oAcquire::Retries=2");
    strlist_addf(argv, "-oAPT::Status-Fd=1");
    strlist_addf(argv, "-oAPT::Get::AllowUnauthenticated=false");
}

struct talk {
    struct hold *hold;
    struct err *err;
    struct buf said; /* all but progress */
    char *fault;     /* its first complaint */
};

/* "dlstatus:3:42.5000:Retrieving file 3 of 7": how far it is. */
static void progress_take(struct talk *t, const char *line)
{
    const char *percent = strchr(line + strlen("dlstatus:"), ':');
    if (percent)
        hold_bar(t->hold, "downloading", strtod(percent + 1, NULL) / 100);
}

static bool line_take(void *context, char *line)
{
    struct talk *t = context;
    if (!hold_step(t->hold, 0, 0, t->err))
        return false;
    if (!line)
        return true;
    if (strncmp(line, "dlstatus:", 9) == 0) {
        progress_take(t, line);
    } else {
        if (!t->fault && (strncmp(line, "E: ", 3) == 0 || strncmp(line, "Err:", 4) == 0))
            t->fault = alloc_string(line);
        buf_addf(&t->said, "%s\n", line);
    }
    return true;
}

/* Runs it. *said (may be NULL) is what it printed, freed with buf_free(). */
static bool command_run(const struct apt *a, const struct strlist *argv, const char *what,
                        struct buf *said, struct err *err)
{
    struct talk t = {.hold = a->hold, .err = err};
    int status = 0;
    bool ok = child_lines(argv, line_take, &t, &status, err) && status >= 0;
    if (ok && status != 0) {
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "cannot %s: apt says: %s", what,
                     t.fault ? t.fault : "nothing");
        if (t.fault && strstr(t.fault, "Unable to locate package"))
            err_hint(err, "this distribution does not have it");
        else
            err_hint(err, "`apt-get update` on this machine shows whether its sources work");
    }
    free(t.fault);
    if (ok && said)
        *said = t.said;
    else
        buf_free(&t.said);
    return ok;
}

/* Seconds since the index was fetched; -1: never. */
static double index_age(const char *stamp)
{
    struct stat st;
    return stat(stamp, &st) < 0 ? -1 : difftime(time(NULL), st.st_mtime);
}

bool apt_refresh(const struct apt *a, bool fresh, char **note, struct err *err)
{
    char *stamp = path_join(a->dir, APT_STAMP);
    double age = index_age(stamp);
    struct strlist argv = {0};
    *note = NULL;
    bool ok = age >= 0 && (!fresh || age < APT_DAY);
    if (!ok) {
        command_start(a, &argv, APT_GET);
        strlist_add(&argv, "-q");
        strlist_add(&argv, "-oAPT::Update::Error-Mode=any");
        strlist_add(&argv, "update");
        ok = command_run(a, &argv, "get the distribution's index", NULL, err);
        if (ok && (path_write(a->lock, APT_STAMP, "", 0) || err_errno(err, "write", stamp)))
            ok = true;
        else if (age >= 0 && strcmp(err->message, "interrupted") != 0) {
            *note = alloc_printf("%s; going on with the index of %.0f days ago", err->message,
                                 age / APT_DAY);
            err_free(err);
            ok = true;
        }
    }
    strlist_free(&argv);
    free(stamp);
    return ok;
}

/* "'URI' nginx_1.22.1-9_amd64.deb 532468 ...": what is behind the size depends on the source. */
static void uri_take(struct apt_list *l, char *line)
{
    struct strlist words = {0};
    strlist_split(&words, line, " ");
    if (words.count >= 3 && line[0] == '\'') {
        char *file = words.items[1];
        l->items = alloc_array(l->items, l->count + 1, sizeof *l->items);
        l->items[l->count++] = (struct apt_package){.name = alloc_bytes(file, strcspn(file, "_")),
                                                    .file = alloc_string(file),
                                                    .size = strtoull(words.items[2], NULL, 10)};
    }
    strlist_free(&words);
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(((const struct apt_package *)a)->name, ((const struct apt_package *)b)->name);
}

struct apt_package *apt_find(const struct apt_list *l, const char *name)
{
    const struct apt_package key = {.name = (char *)name};
    return bsearch(&key, l->items, l->count, sizeof *l->items, name_compare);
}

static void field_take(char **field, const char *line, const char *name)
{
    size_t n = strlen(name);
    if (!*field && strncmp(line, name, n) == 0)
        *field = alloc_string(line + n);
}

/* "Depends: libc6 (>= 2.34), adduser | useradd": the names. */
static void depends_take(struct strlist *names, const char *line)
{
    struct strlist parts = {0};
    const char *colon = strchr(line, ':');
    strlist_split(&parts, colon + 1, ",|");
    for (size_t i = 0; i < parts.count; i++) {
        char *name = parts.items[i] + strspn(parts.items[i], " ");
        name[strcspn(name, " (:")] = 0;
        strlist_add(names, name);
    }
    strlist_free(&parts);
}

/* What the signed index says, from the paragraphs of apt-cache show. */
static void paragraphs_take(struct apt_list *l, char *text)
{
    struct apt_package *at = NULL;
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (strncmp(line, "Package: ", 9) == 0) {
            at = apt_find(l, line + 9);
        } else if (at) {
            field_take(&at->version, line, "Version: ");
            field_take(&at->section, line, "Section: ");
            field_take(&at->digest, line, "SHA256: ");
            if (strncmp(line, "Depends: ", 9) == 0 || strncmp(line, "Pre-Depends: ", 13) == 0)
                depends_take(&at->depends, line);
        }
    }
}

static bool list_describe(const struct apt *a, struct apt_list *l, struct err *err)
{
    struct strlist argv = {0};
    struct buf said = {0};
    command_start(a, &argv, APT_CACHE);
    strlist_add(&argv, "--no-all-versions");
    strlist_add(&argv, "show");
    for (size_t i = 0; i < l->count; i++)
        strlist_add(&argv, l->items[i].name);
    bool ok = command_run(a, &argv, "describe packages", &said, err);
    if (ok && said.data)
        paragraphs_take(l, said.data);
    for (size_t i = 0; ok && i < l->count; i++)
        if (!l->items[i].version || !l->items[i].section || !l->items[i].digest)
            ok =
                err_set(err, OPS_EXIT_FAILED, NULL, "apt knows nothing about %s", l->items[i].name);
    buf_free(&said);
    strlist_free(&argv);
    return ok;
}

bool apt_closure(const struct apt *a, const struct strlist *names, struct apt_list *l,
                 struct err *err)
{
    struct strlist argv = {0}, lines = {0};
    struct buf said = {0};
    command_start(a, &argv, APT_GET);
    strlist_split(&argv, "-qq -y --no-install-recommends --print-uris install --", " ");
    strlist_add_all(&argv, names);
    bool ok = command_run(a, &argv, "find the packages", &said, err);
    strlist_split(&lines, said.data ? said.data : "", "\n");
    for (size_t i = 0; ok && i < lines.count; i++)
        uri_take(l, lines.items[i]);
    if (l->count)
        qsort(l->items, l->count, sizeof *l->items, name_compare);
    ok = ok && list_describe(a, l, err);
    buf_free(&said);
    strlist_free(&lines);
    strlist_free(&argv);
    return ok;
}

/* Is the file there, whole? One that is not is removed. */
static bool file_good(const char *path, const struct apt_package *p)
{
    unsigned char digest[DIGEST_SIZE];
    char text[DIGEST_TEXT];
    bool good = digest_of_file(path, digest);
    if (good) {
        digest_text(digest, text);
        good = strcmp(text, p->digest) == 0;
    }
    if (!good)
        unlink(path);
    return good;
}

bool apt_fetch(const struct apt *a, const struct apt_list *l, struct strlist *files,
               struct err *err)
{
    struct strlist argv = {0};
    command_start(a, &argv, APT_GET);
    strlist_add(&argv, "-q");
    strlist_add(&argv, "download");
    size_t words = argv.count, first = files->count;
    for (size_t i = 0; i < l->count; i++) {
        strlist_addf(files, "%s/files/%s", a->dir, l->items[i].file);
        if (!file_good(files->items[first + i], &l->items[i]))
            strlist_addf(&argv, "%s=%s", l->items[i].name, l->items[i].version);
    }
    bool ok = argv.count == words || command_run(a, &argv, "download the packages", NULL, err);
    for (size_t i = 0; ok && argv.count > words && i < l->count; i++)
        if (!file_good(files->items[first + i], &l->items[i]))
            ok = err_set(err, OPS_EXIT_FAILED, "try again later: mirrors change",
                         "%s is not what the distribution's signed index says", l->items[i].file);
    strlist_free(&argv);
    return ok;
}

static void package_free(struct apt_package *p)
{
    free(p->name);
    free(p->version);
    free(p->section);
    free(p->file);
    free(p->digest);
    strlist_free(&p->depends);
}

void apt_list_remove(struct apt_list *l, size_t i)
{
    package_free(&l->items[i]);
    l->count--;
    memmove(&l->items[i], &l->items[i + 1], (l->count - i) * sizeof *l->items);
}

void apt_list_free(struct apt_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        package_free(&l->items[i]);
    free(l->items);
    *l = (struct apt_list){0};
}
