/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ops deploy`: a new instance in the place of the one of that name. The old one ends when the
 * new one is known to be buildable, and comes back when the new one does not start.
 */
#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "cmd_run.h"
#include "command.h"
#include "deploy.h"
#include "instance_end.h"
#include "instance_store.h"
#include "ops/exit.h"
#include "settings.h"
#include "supervisor.h"

#define NAME_OLD "%.40s.old"

static bool instance_there(const char *name)
{
    struct stored s;
    struct err none = {0};
    bool there = store_open(&s, name, &none);
    if (there)
        store_close(&s);
    err_free(&none);
    return there;
}

/* Renames or deletes (`to` NULL) one that does not run. */
static bool instance_move(const char *name, const char *to, struct err *err)
{
    struct stored s;
    bool ok = store_open(&s, name, err) && store_lock(&s, err) &&
              (to ? store_rename(&s, to, err) : store_delete(&s, err));
    store_close(&s);
    return ok;
}

/* The new one; false: nothing of it is left. */
static bool new_start(struct request *r, char **words, struct err *err)
{
    struct err none = {0};
    char *name = supervisor_create(r, words, err);
    bool ok = name && supervisor_start(name, err);
    if (name && !ok)
        instance_move(name, NULL, &none);
    err_free(&none);
    free(name);
    return ok;
}

/* The old one takes its name back and runs again; adds that to what went wrong. */
static void old_return(const char *old, const char *name, bool ran, struct err *err)
{
    struct err again = {0};
    bool back = instance_move(old, name, &again) && (!ran || supervisor_start(name, &again));
    err_hint(err,
             back ? (ran ? "the instance %s from before runs again"
                         : "the instance %s is as it was before")
                  : "the instance from before is %s",
             back ? name : old);
    err_free(&again);
}

static bool instance_runs(const char *name)
{
    struct stored s;
    struct err none = {0};
    bool runs = store_open(&s, name, &none) && store_locked(&s);
    store_close(&s);
    err_free(&none);
    return runs;
}

/* With an instance of that name there. */
static bool instance_replace(struct request *r, char **words, const char *name, struct err *err)
{
    char *old = alloc_printf(NAME_OLD, name);
    struct err none = {0};
    bool ran = instance_runs(name);
    if (instance_there(old))
        instance_move(old, NULL, &none); /* a deploy was killed */
    bool ok = instance_end(name, INSTANCE_END, err) && instance_move(name, old, err);
    if (ok && !(ok = new_start(r, words, err)))
        old_return(old, name, ran, err);
    else if (ok)
        ok = instance_move(old, NULL, err);
    err_free(&none);
    free(old);
    return ok;
}

bool deploy_instance(struct request *r, char **words, struct err *err)
{
    if (r->dry_run || r->explain || r->list_files || r->print_manifest || r->settings.debug ||
        r->rm)
        return err_set(err, OPS_EXIT_USAGE, "say that to `ops run`",
                       "what is deployed stays and runs by itself: no --%s",
                       r->dry_run          ? "dry-run"
                       : r->explain        ? "explain"
                       : r->list_files     ? "list-files"
                       : r->print_manifest ? "print-manifest"
                       : r->rm             ? "rm"
                                           : "debug");
    if (!run_check(r, err))
        return false;
    if (!r->settings.name)
        r->settings.name = alloc_string(run_subject(r));
    const char *name = r->settings.name;
    if (!instance_name_check(name, err))
        return false;
    return instance_there(name) ? instance_replace(r, words, name, err) : new_start(r, words, err);
}

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    struct request r;
    bool help;
    (void)status;
    bool ok = run_request(&r, words, NULL, &help, err);
    if (ok && help)
        command_help(self);
    else if (ok && (ok = deploy_instance(&r, words, err)))
        puts(r.settings.name);
    request_free(&r);
    return ok;
}

const struct command cmd_deploy = {
    .name = "deploy",
    .usage = "deploy [OPTION...] PROGRAM [ARGUMENT...]",
    .summary = "replace the instance of a program by a new one",
    .text = "The words are those of `ops run`. The instance's name is the program's unless --name\n"
            "says another; one of that name ends first (SIGTERM) and is deleted when the new one\n"
            "runs. If that does not start, the old one is started again.\n",
    .options = &run_options,
    .run = run,
};
