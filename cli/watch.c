/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching the files of an image: see watch.h. They are looked at a few times a second
 * (size, time, number: editors replace files, compilers write them in steps). Where a
 * directory of theirs changes the image is planned anew, as files may have come or gone.
 * Each machine is a child process that does what `ops run` does.
 */
#include "watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "cmd_run.h"
#include "hostpath.h"
#include "ops/exit.h"

#define LOOK      (300 * 1000000L) /* ns between two looks */
#define GRACE     33               /* looks that a program has to end after SIGTERM: 10 seconds */
#define STATUS(w) (WIFSIGNALED(w) ? 128 + WTERMSIG(w) : WEXITSTATUS(w))

struct stamp {
    char *path;
    struct timespec time;
    off_t size;
    ino_t number; /* 0: it is not there */
    bool parent;  /* only the directory of the one behind it */
};

struct stamps {
    struct stamp *items;
    size_t count;
    const char *parent; /* the last one among them */
    bool parents_changed;
};

static volatile sig_atomic_t asked; /* the signal */

static void on_signal(int number)
{
    asked = number;
}

static struct stamp stamp_make(char *path, bool parent)
{
    struct stat st = {0};
    if (lstat(path, &st) < 0)
        st = (struct stat){0};
    return (struct stamp){path, st.st_mtim, st.st_size, st.st_ino, parent};
}

static bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
    return a->number == b->number && a->size == b->size && a->time.tv_sec == b->time.tv_sec &&
           a->time.tv_nsec == b->time.tv_nsec;
}

static void stamps_free(struct stamps *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i].path);
    free(s->items);
    *s = (struct stamps){0};
}

static void stamps_add(struct stamps *s, const char *path)
{
    char *dir = path_dirname(path);
    if (s->parent && strcmp(s->parent, dir) == 0) {
        free(dir);
    } else {
        s->items[s->count++] = stamp_make(dir, true);
        s->parent = dir;
    }
    s->items[s->count++] = stamp_make(alloc_string(path), false);
}

/* Of everything that the image would hold now. */
static bool stamps_take(struct stamps *s, const struct request *r, struct err *err)
{
    struct plan p = {0};
    struct stamps fresh = {0};
    bool ok = plan_make(&p, r, false, err);
    struct tree_entry **entries = ok ? tree_entries(&p.tree) : NULL;
    fresh.items = alloc_array(NULL, 2 * p.tree.count + 1, sizeof *fresh.items);
    for (size_t i = 0; ok && i < p.tree.count; i++)
        if (entries[i]->source)
            stamps_add(&fresh, entries[i]->source);
    if (ok) {
        stamps_free(s);
        *s = fresh;
    } else {
        stamps_free(&fresh);
    }
    free(entries);
    plan_free(&p);
    return ok;
}

/* Looks again: the first file that is another than before; NULL: none. */
static const char *stamps_look(struct stamps *s)
{
    const char *changed = NULL;
    s->parents_changed = false;
    for (size_t i = 0; i < s->count; i++) {
        struct stamp now = stamp_make(s->items[i].path, s->items[i].parent);
        bool equal = stamp_equal(&now, &s->items[i]);
        if (now.parent)
            s->parents_changed |= !equal;
        else if (!changed && !equal)
            changed = now.path;
        s->items[i] = now;
    }
    return changed;
}

/* Plans anew: the first file that came or went; NULL: none. */
static const char *stamps_compare(struct stamps *s, const struct request *r)
{
    struct stamps fresh = {0};
    struct err ignored = {0};
    size_t i = 0;
    bool planned = stamps_take(&fresh, r, &ignored);
    err_free(&ignored);
    if (!planned) /* the change shall be told of, and then what is wrong */
        return s->items[0].path;
    while (i < s->count && i < fresh.count && strcmp(s->items[i].path, fresh.items[i].path) == 0)
        i++;
    bool same = i == s->count && i == fresh.count;
    stamps_free(s);
    *s = fresh;
    return same ? NULL : s->items[i < s->count ? i : s->count - 1].path;
}

static void rest(void)
{
    const struct timespec look = {.tv_nsec = LOOK};
    nanosleep(&look, NULL); /* a signal ends it */
}

static _Noreturn void machine_main(const struct request *r, pid_t parent)
{
    struct err err = {0};
    int status = OPS_EXIT_OK;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(OPS_EXIT_FAILED);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    if (!run_machine(r, NULL, NULL, &status, &err)) {
        fprintf(stderr, "ops: %s\n", err.message);
        if (err.hint)
            fprintf(stderr, "hint: %s\n", err.hint);
        status = err.exit;
    }
    exit(status);
}

static bool machine_ended(pid_t *pid, int *status)
{
    int how;
    if (*pid <= 0 || waitpid(*pid, &how, WNOHANG) != *pid)
        return *pid <= 0;
    *status = STATUS(how);
    *pid = 0;
    return true;
}

/* SIGTERM for the program; after a while the machine goes without it. */
static void machine_end(pid_t *pid, int number, int *status)
{
    if (*pid > 0 && number)
        kill(*pid, number);
    for (int i = 0; !machine_ended(pid, status); i++) {
        if (i == GRACE)
            kill(*pid, SIGKILL);
        rest();
    }
}

/* Until nothing is written any more, and it could run. False: a signal came. */
static bool settle(struct stamps *s, const struct request *r, const char *changed)
{
    fprintf(stderr, "ops: %s has changed\n", changed);
    while (!asked) {
        struct err err = {0};
        do
            rest();
        while (!asked && stamps_look(s));
        if (asked || stamps_take(s, r, &err))
            break;
        fprintf(stderr, "ops: %s\n", err.message);
        err_free(&err);
        while (!asked && !stamps_look(s))
            rest();
    }
    return !asked;
}

static bool machine_start(pid_t *pid, const struct request *r, struct err *err)
{
    pid_t self = getpid();
    fflush(NULL);
    *pid = fork();
    if (*pid == 0)
        machine_main(r, self);
    return *pid > 0 || err_errno(err, "start", "a process");
}

/* One machine, until a file changes or a signal comes. */
static bool round_run(struct stamps *s, const struct request *r, int *status, struct err *err)
{
    const char *changed = NULL;
    bool told = false;
    pid_t pid;
    if (!machine_start(&pid, r, err))
        return false;
    while (!asked && !changed) {
        rest();
        if (machine_ended(&pid, status) && !told) {
            fprintf(stderr, "ops: it has ended (%d), and starts again when a file changes\n",
                    *status);
            told = true;
        }
        changed = stamps_look(s);
        if (!changed && s->parents_changed)
            changed = stamps_compare(s, r);
    }
    bool ended = pid == 0;
    /* Ctrl-C on a terminal reaches the child without us. */
    machine_end(&pid,
                changed                                   ? SIGTERM
                : asked == SIGINT && isatty(STDIN_FILENO) ? 0
                                                          : asked,
                status);
    if (!asked && settle(s, r, changed))
        return true;
    if (ended)
        *status = 128 + asked;
    return true;
}

bool watch_run(const struct request *r, int *status, struct err *err)
{
    const struct sigaction act = {.sa_handler = on_signal};
    struct stamps s = {0};
    bool ok = stamps_take(&s, r, err);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    while (ok && !asked)
        ok = round_run(&s, r, status, err);
    stamps_free(&s);
    return ok;
}
