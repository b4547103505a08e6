/* SPDX-License-Identifier: Apache-2.0 */
/* What a container image starts: see image_package.h. */
#include "import/image_package.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"
#include "import/account.h"
#include "ops/exit.h"

#define SCRIPT_LINE  256 /* bytes of the first line that Linux looks at */
#define SCRIPT_DEPTH 5

struct start {
    const struct image_package *p;
    const char *cwd;
    struct strlist argv;
    size_t from_cmd; /* the last words of argv that are Cmd's */
    char *program;
    struct err *err;
};

static const char *cwd_of(const struct oci_config *c)
{
    return c->cwd && c->cwd[0] == '/' ? c->cwd : "/";
}

static bool argv_make(struct start *s)
{
    const struct oci_config *c = s->p->config;
    const char *other = s->p->entrypoint;
    if (other)
        strlist_add(&s->argv, other);
    else
        strlist_add_all(&s->argv, &c->entrypoint);
    bool same = other && c->cmd.count && strcmp(c->cmd.items[0], other) == 0;
    for (size_t i = same; (!other || same) && i < c->cmd.count; i++, s->from_cmd++)
        strlist_add(&s->argv, c->cmd.items[i]);
    return s->argv.count || err_set(s->err, OPS_EXIT_FAILED, "--entrypoint PROGRAM says it",
                                    "the image does not say which program it starts");
}

static bool program_find(struct start *s)
{
    free(s->program);
    s->program = rootpath_program(s->p->view, s->argv.items[0], s->cwd, &s->p->config->env);
    return s->program ||
           err_set(s->err, OPS_EXIT_FAILED, "--entrypoint PROGRAM names another",
                   "the image starts `%s`, but has no such program", s->argv.items[0]);
}

static bool is_shell(const char *path)
{
    static const char *const shells[] = {"sh", "bash", "dash", "ash", "ksh", "zsh", "busybox"};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(path_basename(path), shells[i]) == 0)
            return true;
    return false;
}

static bool shell_script(struct start *s)
{
    const struct oci_config *c = s->p->config;
    err_set(s->err, OPS_EXIT_FAILED, NULL,
            "the image's entrypoint %s is a shell script, and a unikernel runs one program, not "
            "those that a script starts",
            s->program);
    if (!s->p->entrypoint && c->entrypoint.count && c->cmd.count)
        err_hint(s->err, "--entrypoint %s starts what is most likely behind it", c->cmd.items[0]);
    else
        err_hint(s->err, "--entrypoint PROGRAM starts the program itself");
    return false;
}

/* `line` behind `#!`: interpreter and its one argument go before the script. */
static void script_unfold(struct start *s, char *line)
{
    static const char blank[] = " \t\r";
    struct strlist argv = {0};
    line[strcspn(line, "\n")] = 0;
    for (char *end = line + strlen(line); end > line && strchr(blank, end[-1]);)
        *--end = 0;
    line += strspn(line, blank);
    size_t n = strcspn(line, blank);
    char *interpreter = alloc_bytes(line, n);
    char *argument = line + n + strspn(line + n, blank);
    bool env = strcmp(path_basename(interpreter), "env") == 0 && *argument && *argument != '-';
    strlist_add(&argv, env ? argument : interpreter);
    if (!env && *argument)
        strlist_add(&argv, argument);
    strlist_add(&argv, s->program);
    for (size_t i = 1; i < s->argv.count; i++)
        strlist_add(&argv, s->argv.items[i]);
    strlist_free(&s->argv);
    s->argv = argv;
    free(interpreter);
}

/* Scripts become their interpreters: the kernel loads ELF alone. */
static bool scripts_resolve(struct start *s)
{
    for (int depth = 0; depth < SCRIPT_DEPTH; depth++) {
        if (!program_find(s))
            return false;
        char *head = rootpath_read(s->p->view, s->program, SCRIPT_LINE);
        bool script = head && head[0] == '#' && head[1] == '!';
        if (script)
            script_unfold(s, head + 2);
        free(head);
        if (!script)
            return true;
        if (is_shell(s->argv.items[0]))
            return shell_script(s);
    }
    return err_set(s->err, OPS_EXIT_FAILED, NULL, "%s: too many scripts that run scripts",
                   s->program);
}

static cJSON *env_json(const struct oci_config *c)
{
    cJSON *env = cJSON_CreateObject();
    for (size_t i = 0; i < c->env.count; i++) {
        char *name = alloc_bytes(c->env.items[i], strcspn(c->env.items[i], "="));
        const char *value = strchr(c->env.items[i], '=');
        cJSON_DeleteItemFromObjectCaseSensitive(env, name);
        if (name[0] && value)
            cJSON_AddStringToObject(env, name, value + 1);
        free(name);
    }
    return env;
}

/* Words of the user replace Cmd, and where there is no Entrypoint the program with it. */
static void words_add(cJSON *json, const struct start *s)
{
    const struct oci_config *c = s->p->config;
    bool entry = s->p->entrypoint || c->entrypoint.count;
    size_t replaced = entry ? s->from_cmd : s->argv.count;
    size_t fixed = s->argv.count - replaced;
    const char *const *words = (const char *const *)s->argv.items;
    if (fixed)
        cJSON_AddItemToObject(json, "Args", cJSON_CreateStringArray(words, (int)fixed));
    if (replaced)
        cJSON_AddItemToObject(json, "DefaultArgs",
                              cJSON_CreateStringArray(words + fixed, (int)replaced));
}

static char *manifest_text(const struct start *s, uint32_t uid, uint32_t gid)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "Program", s->program);
    words_add(json, s);
    cJSON_AddItemToObject(json, "Env", env_json(s->p->config));
    cJSON_AddStringToObject(json, "Cwd", s->cwd);
    if (s->p->config->stop_signal)
        cJSON_AddStringToObject(json, "StopSignal", s->p->config->stop_signal);
    if (uid || gid) {
        cJSON_AddNumberToObject(json, "Uid", uid);
        cJSON_AddNumberToObject(json, "Gid", gid);
    }
    char *text = cJSON_Print(json), *line = text ? alloc_printf("%s\n", text) : NULL;
    cJSON_Delete(json);
    free(text);
    return line;
}

/* What an image says goes into a text of ours: printing characters only. */
static void plain_add(struct buf *b, const char *text)
{
    for (const char *p = text; *p; p++)
        buf_add(b, isprint((unsigned char)*p) && *p != '`' ? p : "?", 1);
}

static void items_add(struct buf *b, const char *title, const struct strlist *items)
{
    if (items->count)
        buf_addf(b, "\n%s\n\n", title);
    for (size_t i = 0; i < items->count; i++) {
        buf_addf(b, "- `");
        plain_add(b, items->items[i]);
        buf_addf(b, "`\n");
    }
}

static void readme_make(const struct start *s, struct buf *b)
{
    const struct oci_config *c = s->p->config;
    buf_addf(b, "# ");
    plain_add(b, s->p->reference);
    buf_addf(b, "\n\nMade from a container image");
    if (s->p->digest[0])
        buf_addf(b, ", whose manifest is `%s`", s->p->digest);
    buf_addf(b, ".\n");
    items_add(b, "It starts:", &s->argv);
    items_add(b, "It listens on these ports; `-p PORT` forwards one:", &c->ports);
    items_add(b, "It keeps data in these directories; `--mounts VOLUME:DIR` puts them on a volume:",
              &c->volumes);
    if (c->stop_signal) {
        buf_addf(b, "\nIt wants to be stopped by `");
        plain_add(b, c->stop_signal);
        buf_addf(b, "`.\n");
    }
}

bool image_package_write(const struct image_package *p, int dir, struct err *err)
{
    struct start s = {.p = p, .cwd = cwd_of(p->config), .err = err};
    struct buf readme = {0};
    uint32_t uid = 0, gid = 0;
    char *text = NULL;
    bool ok = argv_make(&s) && scripts_resolve(&s) &&
              account_find(p->view, p->config->user, &uid, &gid, err);
    if (ok && !(text = manifest_text(&s, uid, gid)))
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "the image's configuration is too large");
    if (ok) {
        readme_make(&s, &readme);
        ok = (path_write(dir, "package.manifest", text, strlen(text)) &&
              path_write(dir, "README.md", readme.data, readme.size)) ||
             err_errno(err, "write", "package.manifest");
    }
    free(text);
    buf_free(&readme);
    strlist_free(&s.argv);
    free(s.program);
    return ok;
}
