/* SPDX-License-Identifier: Apache-2.0 */
/* What QEMU may do: see confine.h. */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"
#include "ops/exit.h"

#define CAP(name) (UINT64_C(1) << CAP_##name)

/* What root needs to give the program's files to the program's user, and to reach those of others:
 * the rights of a share (qemu.c). */
#define CAPS_SHARE                                                                                 \
    (CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH) | CAP(FOWNER) | CAP(FSETID) | CAP(MKNOD))

static const char *const cap_names[] = {
    [CAP_CHOWN] = "CHOWN",
    [CAP_DAC_OVERRIDE] = "DAC_OVERRIDE",
    [CAP_DAC_READ_SEARCH] = "DAC_READ_SEARCH",
    [CAP_FOWNER] = "FOWNER",
    [CAP_FSETID] = "FSETID",
    [CAP_MKNOD] = "MKNOD",
    [CAP_NET_BIND_SERVICE] = "NET_BIND_SERVICE",
};

/* Directories whose locks say which users machines have; the first that can be used. */
static const char *const lock_dirs[] = {"/run/ops-users", "/tmp/ops-users"};

bool confine_port_free(unsigned port)
{
    unsigned first = 1024;
    FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    if (f && fscanf(f, "%u", &first) != 1)
        first = 1024;
    if (f)
        fclose(f);
    return port >= first;
}

static uint64_t caps_now(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &head, data) < 0)
        return 0;
    return data[0].effective | (uint64_t)data[1].effective << 32;
}

/* Are all our users' numbers there in this user namespace? */
static bool numbers_mapped(const char *map)
{
    unsigned inside, outside, count;
    bool found = false;
    FILE *f = fopen(map, "re");
    while (f && !found && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3)
        found = inside <= CONFINE_FIRST && count > CONFINE_LAST - inside;
    if (f)
        fclose(f);
    return found;
}

/* May everybody run the file, going through its directories? */
static bool all_may_run(const char *file)
{
    struct stat st;
    char *path = realpath(file, NULL);
    bool ok = path && stat(path, &st) == 0 && (st.st_mode & 05) == 05;
    for (char *slash = path ? strrchr(path, '/') : NULL; ok && slash && slash != path;
         slash = strrchr(path, '/')) {
        *slash = 0;
        ok = stat(path, &st) == 0 && st.st_mode & 01;
    }
    free(path);
    return ok;
}

static bool is_script(const char *file)
{
    char mark[2] = "";
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    bool script = fd >= 0 && read(fd, mark, 2) == 2 && memcmp(mark, "#!", 2) == 0;
    if (fd >= 0)
        close(fd);
    return script;
}

/* Can somebody open /dev/kvm who is not root? *group: only with that group. */
static bool kvm_opens(unsigned *group)
{
    struct stat st;
    if (stat("/dev/kvm", &st) < 0)
        return false;
    if ((st.st_mode & 06) == 06)
        return true;
    *group = st.st_gid;
    return st.st_gid && (st.st_mode & 060) == 060;
}

/* Why it keeps our user; NULL: it need not. */
static const char *own_user_refused(struct confine *c, const struct confine_needs *n)
{
    const uint64_t needed = CAP(SETUID) | CAP(SETGID) | CAP(KILL);
    if (geteuid() != 0)
        return "as only root can give it another";
    if ((caps_now() & needed) != needed || !numbers_mapped("/proc/self/uid_map") ||
        !numbers_mapped("/proc/self/gid_map"))
        return "as this root cannot give it another";
    if (n->shares)
        return "as it reads and writes shared directories";
    if (n->kvm && !kvm_opens(&c->group))
        return "as only root may open /dev/kvm";
    if (is_script(n->qemu))
        return "as what is run for QEMU is a script";
    if (!all_may_run(n->qemu))
        return "as not everybody may run this QEMU";
    return NULL;
}

void confine_choose(struct confine *c, const struct confine_needs *n)
{
    struct rlimit files = {0};
    *c = (struct confine){.lock = -1};
    c->why = own_user_refused(c, n);
    c->script = is_script(n->qemu);
    c->own_user = !c->why;
    if (!c->own_user)
        c->group = 0;
    if (n->shares && geteuid() == 0)
        c->caps |= CAPS_SHARE;
    if (n->low_ports)
        c->caps |= CAP(NET_BIND_SERVICE);
    c->caps = c->script ? caps_now() : c->caps & caps_now();
    c->data = n->memory + CONFINE_DATA + n->cpus * CONFINE_CPU;
    getrlimit(RLIMIT_NOFILE, &files);
    c->files = files.rlim_max < CONFINE_FILES ? files.rlim_max : CONFINE_FILES;
    c->threads = c->own_user ? CONFINE_THREADS + n->cpus : 0;
    for (c->last = 0; prctl(PR_CAPBSET_READ, c->last + 1, 0, 0, 0) >= 0;)
        c->last++;
}

/* The first user whose lock nobody has. */
static bool user_lock(struct confine *c, const char *dir)
{
    for (unsigned user = CONFINE_FIRST; c->lock < 0 && user <= CONFINE_LAST; user++) {
        if (getpwuid(user) || getgrgid(user))
            continue;
        char *name = alloc_printf("%s/%u", dir, user);
        c->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        free(name);
        if (c->lock >= 0 && flock(c->lock, LOCK_EX | LOCK_NB) == 0) {
            c->user = user;
        } else if (c->lock >= 0) {
            close(c->lock);
            c->lock = -1;
        }
    }
    return c->lock >= 0;
}

bool confine_take(struct confine *c, struct err *err)
{
    struct err why = {0};
    bool ok = false;
    if (!c->own_user)
        return true;
    for (size_t i = 0; !ok && i < sizeof lock_dirs / sizeof lock_dirs[0]; i++) {
        err_free(&why);
        ok = path_private_dir(lock_dirs[i], &why);
        if (ok && !user_lock(c, lock_dirs[i]))
            return err_set(err, OPS_EXIT_FAILED, "end some of them",
                           "more machines than the %u users that QEMU can have",
                           CONFINE_LAST - CONFINE_FIRST + 1);
    }
    if (!ok)
        err_set(err, OPS_EXIT_FAILED, why.hint, "%s", why.message);
    err_free(&why);
    return ok;
}

static int limit(int resource, uint64_t value)
{
    struct rlimit now, wanted = {.rlim_cur = value, .rlim_max = value};
    if (getrlimit(resource, &now) < 0)
        return errno;
    if (now.rlim_max < value) /* it has less already */
        wanted = (struct rlimit){.rlim_cur = now.rlim_max, .rlim_max = now.rlim_max};
    return setrlimit(resource, &wanted) < 0 ? errno : 0;
}

static int limits_set(const struct confine *c)
{
    int number = limit(RLIMIT_CORE, 0);
    number = number ? number : limit(RLIMIT_DATA, c->data);
    number = number ? number : limit(RLIMIT_AS, c->data + CONFINE_SPACE);
    number = number ? number : limit(RLIMIT_NOFILE, c->files);
    return !number && c->threads ? limit(RLIMIT_NPROC, c->threads) : number;
}

static int user_set(const struct confine *c)
{
    gid_t group = c->group;
    if (!c->own_user)
        return 0;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(c->group ? 1 : 0, &group) < 0 ||
        setresgid(c->user, c->user, c->user) < 0 || setresuid(c->user, c->user, c->user) < 0)
        return errno;
    return 0;
}

/* Also what root would get again by execve(). */
static int caps_set(const struct confine *c)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    for (unsigned i = 0; i < 2; i++) {
        data[i].permitted = data[i].effective = data[i].inheritable =
            (uint32_t)(c->caps >> (32 * i));
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, data) < 0)
        return errno;
    for (unsigned long i = 0; geteuid() != 0 && i <= c->last && i < 64; i++)
        if (c->caps >> i & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            return errno;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
}

/* QEMU makes the file of what is written to the root there. */
static void tmpdir_check(void)
{
    const char *dir = getenv("TMPDIR");
    if (dir && access(dir, W_OK | X_OK) < 0)
        unsetenv("TMPDIR");
}

int confine_enter(const void *confine)
{
    const struct confine *c = confine;
    /* The bounding set is lost by who may; no_new_privs keeps the others from gaining by it. */
    for (unsigned long i = 0; i <= c->last; i++)
        if (i >= 64 || !(c->caps >> i & 1))
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    int number = user_set(c);
    number = number ? number : caps_set(c);
    number = number ? number : limits_set(c);
    tmpdir_check();
    return number;
}

char *confine_user_text(const struct confine *c)
{
    struct buf b = {0};
    if (c->own_user)
        buf_addf(&b, "one of its own (%u to %u), whom no file of this host belongs to",
                 CONFINE_FIRST, CONFINE_LAST);
    else
        buf_addf(&b, "user %u of this host, %s", (unsigned)geteuid(), c->why);
    if (c->group)
        buf_addf(&b, "; in the group %u, to open /dev/kvm", c->group);
    if (c->script && c->caps) {
        buf_addf(&b, ", with the capabilities of ops");
        return b.data;
    }
    const char *sign = "; capabilities: ";
    for (size_t i = 0; i < sizeof cap_names / sizeof cap_names[0]; i++) {
        if (!cap_names[i] || !(c->caps >> i & 1))
            continue;
        buf_addf(&b, "%s%s", sign, cap_names[i]);
        sign = ", ";
    }
    buf_addf(&b, "%s, and it can gain none", c->caps ? "" : "; no capabilities");
    return b.data;
}

char *confine_limits_text(const struct confine *c)
{
    char *threads = c->threads ? alloc_printf(", %llu threads", (unsigned long long)c->threads)
                               : alloc_string("");
    char *text =
        alloc_printf("%llu MiB of memory, %llu files%s, no core dump",
                     (unsigned long long)(c->data >> 20), (unsigned long long)c->files, threads);
    free(threads);
    return text;
}

void confine_free(struct confine *c)
{
    if (c->lock >= 0)
        close(c->lock);
    c->lock = -1;
}
