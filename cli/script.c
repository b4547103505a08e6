/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts and their interpreters: see script.h. */
#include "script.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "tree.h"

#define SCRIPT_LINE  256 /* bytes of the first line that Linux looks at */
#define SCRIPT_DEPTH 5   /* scripts that run scripts */

#define SCRIPT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Where `path` is on this host, freed with free(). */
static char *host_path(const struct rootdir *root, const char *path)
{
    const struct mtree_entry *e = root ? rootdir_find(root, path) : NULL;
    return e ? rootdir_host(root, e) : root ? NULL : alloc_string(path);
}

static bool is_program(const struct rootdir *root, const char *path)
{
    struct stat st;
    char *host = host_path(root, path);
    bool is = host && stat(host, &st) == 0 && S_ISREG(st.st_mode) && access(host, X_OK) == 0;
    free(host);
    return is;
}

static char *find_in(const struct rootdir *root, const char *path, const char *name)
{
    struct strlist dirs = {0};
    char *found = NULL;
    strlist_split(&dirs, path, ":");
    for (size_t i = 0; !found && i < dirs.count; i++) {
        char *file = path_join(dirs.items[i], name);
        if (is_program(root, file))
            found = path_absolute(file);
        free(file);
    }
    strlist_free(&dirs);
    return found;
}

char *script_find(const struct rootdir *root, const char *name)
{
    const char *path = root ? NULL : getenv("PATH");
    if (root && strchr(name, '/'))
        return is_program(root, name) ? path_normal(name) : NULL;
    return find_in(root, path ? path : SCRIPT_PATH, name);
}

/* The first line of `path` without `#!`, cut like Linux does; *line NULL: not a script. */
static bool line_read(const struct rootdir *root, const char *path, char **line, struct err *err)
{
    char head[SCRIPT_LINE + 1] = "", *host = host_path(root, path);
    struct stat st;
    *line = NULL;
    if (!host)
        return err_set(err, OPS_EXIT_FAILED, NULL, "the package has no file %s", path);
    int fd = open(host, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    free(host);
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_errno(err, "open", path);
        if (!strchr(path, '/') && fd < 0)
            err_hint(err, "write ./%s for a file in this directory", path);
        if (fd >= 0)
            close(fd);
        return false;
    }
    ssize_t n = S_ISREG(st.st_mode) ? read(fd, head, SCRIPT_LINE) : 0;
    close(fd);
    if (n < 3 || head[0] != '#' || head[1] != '!')
        return true;
    head[strcspn(head, "\n")] = 0;
    *line = alloc_string(head + 2);
    return true;
}

/* Splits the line into interpreter and its single argument; both freed with free(). */
static bool line_split(const char *path, char *line, char **interpreter, char **argument,
                       struct err *err)
{
    static const char blank[] = " \t\r";
    char *end = line + strlen(line);
    while (end > line && strchr(blank, end[-1]))
        *--end = 0;
    line += strspn(line, blank);
    size_t n = strcspn(line, blank);
    *interpreter = alloc_bytes(line, n);
    line += n + strspn(line + n, blank);
    *argument = *line ? alloc_string(line) : NULL;
    if (n)
        return true;
    return err_set(err, OPS_EXIT_FAILED, "start it with #!/path/of/the/interpreter",
                   "the script %s names no interpreter", path);
}

/* `env NAME` as interpreter: NAME itself. */
static bool env_skip(const struct rootdir *root, const char *script, char **interpreter,
                     char **argument, struct err *err)
{
    if (strcmp(path_basename(*interpreter), "env") != 0 || !*argument)
        return true;
    bool plain = (*argument)[0] != '-' && !strpbrk(*argument, " \t=");
    char *found = plain ? script_find(root, *argument) : NULL;
    if (!found)
        return err_set(err, OPS_EXIT_FAILED, "install it, or name the interpreter's path",
                       "cannot find `%s`, the interpreter of %s, in PATH", *argument, script);
    free(*interpreter);
    free(*argument);
    *interpreter = found;
    *argument = NULL;
    return true;
}

static void argv_replace(struct strlist *argv, const char *interpreter, const char *argument,
                         const char *script)
{
    struct strlist next = {0};
    strlist_add(&next, interpreter);
    if (argument)
        strlist_add(&next, argument);
    strlist_add(&next, script);
    for (size_t i = 1; i < argv->count; i++)
        strlist_add(&next, argv->items[i]);
    strlist_free(argv);
    *argv = next;
}

bool script_resolve(const struct rootdir *root, char **program, struct strlist *argv,
                    struct strlist *scripts, struct err *err)
{
    for (int depth = 0; depth < SCRIPT_DEPTH; depth++) {
        char *line, *interpreter = NULL, *argument = NULL;
        if (!line_read(root, *program, &line, err))
            return false;
        if (!line)
            return true;
        bool ok = line_split(*program, line, &interpreter, &argument, err) &&
                  env_skip(root, *program, &interpreter, &argument, err);
        if (ok && !is_program(root, interpreter))
            ok = err_set(err, OPS_EXIT_FAILED, "install the interpreter, or correct the first line",
                         "cannot find %s, the interpreter of the script %s", interpreter, *program);
        if (ok) {
            strlist_add(scripts, *program);
            char *guest = root ? alloc_string(*program) : tree_guest_path(*program);
            argv_replace(argv, interpreter, argument, guest);
            free(guest);
            free(*program);
            *program = root ? path_normal(interpreter) : path_absolute(interpreter);
        }
        free(line);
        free(argument);
        free(interpreter);
        if (!ok)
            return false;
    }
    return err_set(err, OPS_EXIT_FAILED, NULL, "%s: too many scripts that run scripts", *program);
}
