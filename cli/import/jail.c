/* SPDX-License-Identifier: Apache-2.0 */
/* Confinement of this process: see jail.h. landlock(7); its calls have no wrappers in libc. */
#include "import/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define JAIL_CPU    3600u               /* seconds */
#define JAIL_MEMORY (UINT64_C(4) << 30) /* of addresses: a list of a million files, and windows */
#define JAIL_FILES  256u

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING                                                                                    \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |  \
     LANDLOCK_ACCESS_FS_MAKE_SYM)
#define NEVER                                                                                      \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK |    \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define REFER    (1ull << 13) /* hard links and renames between directories: Landlock 2 */
#define TRUNCATE (1ull << 14) /* Landlock 3 */

/* Name service, certificates, time zones and libraries that are loaded late. */
static const char *const system_places[] = {
    "/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve", "/proc/self", "/dev"};

static bool limit(int what, uint64_t most)
{
    struct rlimit r;
    if (getrlimit((__rlimit_resource_t)what, &r) < 0)
        return false;
    if (r.rlim_max > most)
        r.rlim_max = most;
    r.rlim_cur = r.rlim_max;
    return setrlimit((__rlimit_resource_t)what, &r) == 0;
}

static bool allow(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access};
    struct stat st;
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    bool ok = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    close(rule.parent_fd);
    return ok;
}

/* A kernel without Landlock is no error: the other walls stand. Landlock 1 knows no hard links
 * between directories, which archives have: it is not used. */
static bool landlock(const struct strlist *writable, const struct strlist *readable)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 2)
        return true;
    uint64_t writing = WRITING | REFER | (version >= 3 ? TRUNCATE : 0);
    struct landlock_ruleset_attr attr = {.handled_access_fs = READING | NEVER | writing};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    bool ok = rules >= 0;
    for (size_t i = 0; ok && i < sizeof system_places / sizeof system_places[0]; i++)
        ok = allow(rules, system_places[i], READING);
    for (size_t i = 0; ok && i < readable->count; i++)
        ok = allow(rules, readable->items[i], READING);
    for (size_t i = 0; ok && i < writable->count; i++)
        ok = allow(rules, writable->items[i], READING | writing);
    ok = ok && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    if (rules >= 0)
        close(rules);
    return ok;
}

bool jail_enter(const struct strlist *writable, const struct strlist *readable, uint64_t file_size,
                struct err *err)
{
    signal(SIGXFSZ, SIG_IGN); /* EFBIG is enough */
    bool ok = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && limit(RLIMIT_CPU, JAIL_CPU) &&
              limit(RLIMIT_AS, JAIL_MEMORY) && limit(RLIMIT_NOFILE, JAIL_FILES) &&
              limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, file_size) &&
              landlock(writable, readable);
    return ok || err_errno(err, "confine", "ops-import");
}
