/* SPDX-License-Identifier: Apache-2.0 */
/* What stays of instances: see instance_store.h. */
#include "instance_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"
#include "instance.h"
#include "instance_log.h"
#include "json.h"
#include "nearest.h"
#include "ops/exit.h"

#define CONFIG     "config.json"
#define STATE      "state.json"
#define STATE_NEW  "state.new"
#define STATE_ROOM 4096 /* bytes of every state.json, so that a later one fits in its place */
#define FILE_MOST  (8u << 20)

static const char *const files[] = {CONFIG, STATE, STATE_NEW, "lock", LOG_FILE, LOG_OLD};
#define FILE_COUNT (sizeof files / sizeof files[0])

static char *store_dir(struct err *err)
{
    return path_user("XDG_STATE_HOME", ".local/state", "ops/instances", err);
}

bool store_names(struct strlist *names, struct err *err)
{
    char *dir = store_dir(err);
    bool ok = dir && path_names(dir, "", names, err);
    free(dir);
    return ok;
}

/* Removes a directory of the store under `base`, with the files that are ours. */
static void dir_remove(int base, const char *name)
{
    int dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    for (size_t i = 0; dir >= 0 && i < FILE_COUNT; i++)
        unlinkat(dir, files[i], 0);
    if (dir >= 0)
        close(dir);
    unlinkat(base, name, AT_REMOVEDIR);
}

/* What somebody killed was making or deleting; the names start with a dot. */
static void base_sweep(const char *path, int base)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            dir_remove(base, e->d_name);
    if (d)
        closedir(d);
}

/* The directory of all, made and locked; -1: see err. */
static int base_lock(struct err *err)
{
    char *path = store_dir(err);
    int fd = path ? path_lock(path, err) : -1;
    if (fd >= 0)
        base_sweep(path, fd);
    free(path);
    return fd;
}

static char *state_text(const cJSON *state)
{
    char *text = cJSON_Print(state);
    size_t n = text ? strlen(text) : 0, room = n < STATE_ROOM ? STATE_ROOM : n + 1;
    char *padded = alloc_array(NULL, room + 1, 1);
    memset(padded, '\n', room);
    memcpy(padded, text ? text : "", n);
    padded[room] = 0;
    free(text);
    return padded;
}

bool store_write_state(const struct stored *s, const cJSON *state, struct err *err)
{
    char *text = state_text(state);
    size_t n = strlen(text);
    bool ok = path_write(s->dir, STATE_NEW, text, n) &&
              renameat(s->dir, STATE_NEW, s->dir, STATE) == 0 && fsync(s->dir) == 0;
    if (!ok && n == STATE_ROOM && (errno == ENOSPC || errno == EDQUOT)) {
        int fd = openat(s->dir, STATE, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        ok = fd >= 0 && path_put(fd, text, n) && fsync(fd) == 0;
        if (fd >= 0)
            close(fd);
    }
    free(text);
    return ok || err_errno(err, "write the state of", s->name);
}

static bool content_make(int dir, const cJSON *config)
{
    cJSON *state = cJSON_CreateObject();
    cJSON_AddStringToObject(state, "state", STATE_CREATED);
    char *text = cJSON_Print(config), *padded = state_text(state);
    bool ok = text && path_write(dir, CONFIG, text, strlen(text)) &&
              path_write(dir, STATE, padded, strlen(padded)) && path_write(dir, "lock", "", 0) &&
              fsync(dir) == 0;
    cJSON_Delete(state);
    free(padded);
    free(text);
    return ok;
}

static bool name_taken(const char *name, struct err *err)
{
    err_set(err, OPS_EXIT_FAILED, NULL, "there is an instance named %s already", name);
    err_hint(err, "choose another name, `ops instance start %s` or `ops instance delete %s`", name,
             name);
    return false;
}

bool store_free(const char *name, struct err *err)
{
    char *dir = store_dir(err);
    char *path = dir ? path_join(dir, name) : NULL;
    bool ok = path && (access(path, F_OK) < 0 || name_taken(name, err));
    free(path);
    free(dir);
    return ok;
}

bool store_create(const char *name, const cJSON *config, struct err *err)
{
    int base = base_lock(err);
    if (base < 0)
        return false;
    char *temporary = alloc_printf(".%s", name);
    int dir = -1;
    bool ok = faccessat(base, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 || name_taken(name, err);
    if (ok) {
        ok = mkdirat(base, temporary, 0700) == 0 &&
             (dir = openat(base, temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 &&
             content_make(dir, config) && renameat(base, temporary, base, name) == 0 &&
             fsync(base) == 0;
        if (!ok) {
            err_errno(err, "make the instance", name);
            dir_remove(base, temporary);
        }
    }
    if (dir >= 0)
        close(dir);
    close(base);
    free(temporary);
    return ok;
}

static bool unknown(const char *name, struct err *err)
{
    struct instance running;
    struct strlist names = {0};
    struct err ignored = {0};
    bool foreground = instance_find(&running, name, &ignored);
    instance_leave(&running);
    if (foreground)
        return err_set(err, OPS_EXIT_FAILED,
                       "Ctrl-C there ends it; it can be paused, resumed and measured",
                       "%s runs in the foreground", name);
    store_names(&names, &ignored);
    err_set(err, OPS_EXIT_FAILED,
            names.count ? "`ops instance list` lists them" : "`ops run -d PROGRAM` starts one",
            "there is no instance named %s", name);
    const char *near = nearest_word(name, (const char *const *)names.items, names.count);
    if (near)
        err_hint(err, "did you mean %s?", near);
    err_free(&ignored);
    strlist_free(&names);
    return false;
}

bool store_open(struct stored *s, const char *name, struct err *err)
{
    *s = (struct stored){.name = alloc_string(name), .dir = -1, .lock = -1};
    if (!instance_name_check(name, err))
        return false;
    char *base = store_dir(err);
    if (!base)
        return false;
    char *path = path_join(base, name);
    s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = s->dir >= 0 ||
              (errno == ENOENT ? unknown(name, err) : err_errno(err, "open the instance", path));
    free(path);
    free(base);
    return ok;
}

void store_close(struct stored *s)
{
    if (s->lock >= 0)
        close(s->lock);
    if (s->dir >= 0)
        close(s->dir);
    free(s->name);
    *s = (struct stored){.dir = -1, .lock = -1};
}

static int lock_open(const struct stored *s)
{
    return openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

bool store_locked(const struct stored *s)
{
    struct flock l = {.l_type = F_WRLCK};
    int fd = lock_open(s);
    bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
    if (fd >= 0)
        close(fd);
    return held;
}

/* Is the directory still the one of that name? Another may have deleted or renamed it. */
static bool still_there(const struct stored *s, struct err *err)
{
    struct stat ours, named = {0};
    char *base = store_dir(err);
    if (!base)
        return false;
    char *path = path_join(base, s->name);
    bool ok =
        (fstat(s->dir, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino) ||
        unknown(s->name, err);
    free(path);
    free(base);
    return ok;
}

bool store_lock(struct stored *s, struct err *err)
{
    struct flock l = {.l_type = F_WRLCK};
    s->lock = lock_open(s);
    if (s->lock < 0)
        return err_errno(err, "lock the instance", s->name);
    if (fcntl(s->lock, F_OFD_SETLK, &l) == 0)
        return still_there(s, err);
    bool busy = errno == EAGAIN || errno == EACCES;
    close(s->lock);
    s->lock = -1;
    if (!busy)
        return err_errno(err, "lock the instance", s->name);
    err_set(err, OPS_EXIT_FAILED, NULL, "%s is running", s->name);
    err_hint(err, "`ops instance stop %s` ends it", s->name);
    return false;
}

static cJSON *file_parse(const struct stored *s, const char *file, struct err *err)
{
    size_t size;
    char *path = alloc_printf("/proc/self/fd/%d/%s", s->dir, file);
    char *name = alloc_printf("%s of the instance %s", file, s->name);
    char *text = path_read(path, FILE_MOST, &size, err);
    cJSON *json = text ? json_parse(&(struct json_text){name, text, size}, err) : NULL;
    free(text);
    free(name);
    free(path);
    return json;
}

cJSON *store_config(const struct stored *s, struct err *err)
{
    return file_parse(s, CONFIG, err);
}

bool store_alive(const cJSON *state)
{
    static const char *const alive[] = {STATE_STARTING, STATE_RUNNING, STATE_PAUSED,
                                        STATE_RESTARTING};
    const char *word = cJSON_GetStringValue(cJSON_GetObjectItem(state, "state"));
    for (size_t i = 0; word && i < sizeof alive / sizeof alive[0]; i++)
        if (strcmp(word, alive[i]) == 0)
            return true;
    return false;
}

static cJSON *state_read(const struct stored *s)
{
    struct err err = {0};
    cJSON *state = file_parse(s, STATE, &err);
    if (!state || !cJSON_GetStringValue(cJSON_GetObjectItem(state, "state"))) {
        cJSON_Delete(state);
        state = cJSON_CreateObject();
        cJSON_AddStringToObject(state, "state", STATE_CRASHED);
        cJSON_AddStringToObject(state, "reason", "its state is not readable");
    }
    err_free(&err);
    return state;
}

cJSON *store_state(const struct stored *s)
{
    cJSON *state = state_read(s);
    if (!store_alive(state) || store_locked(s))
        return state;
    cJSON_Delete(state);
    state = state_read(s); /* it may have ended between the two looks */
    if (!store_alive(state))
        return state;
    cJSON_DeleteItemFromObject(state, "state");
    cJSON_DeleteItemFromObject(state, "reason");
    cJSON_DeleteItemFromObject(state, "exitStatus");
    cJSON_AddStringToObject(state, "state", STATE_CRASHED);
    cJSON_AddStringToObject(state, "reason", "its supervisor was killed");
    cJSON_AddNumberToObject(state, "exitStatus", OPS_EXIT_CRASH);
    return state;
}

bool store_delete(const struct stored *s, struct err *err)
{
    int base = base_lock(err);
    if (base < 0)
        return false;
    char *temporary = alloc_printf(".%s", s->name);
    bool ok = renameat(base, s->name, base, temporary) == 0;
    if (ok)
        dir_remove(base, temporary);
    else
        err_errno(err, "delete the instance", s->name);
    close(base);
    free(temporary);
    return ok;
}

bool store_rename(const struct stored *s, const char *name, struct err *err)
{
    if (!instance_name_check(name, err))
        return false;
    int base = base_lock(err);
    if (base < 0)
        return false;
    bool ok = faccessat(base, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 || name_taken(name, err);
    if (ok && (renameat(base, s->name, base, name) < 0 || fsync(base) < 0))
        ok = err_errno(err, "rename the instance", s->name);
    close(base);
    return ok;
}
