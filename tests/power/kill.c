/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that are killed under load: kill OPS LOAD DIRECTORY SEED COUNT. Each gets a
 * fresh volume and a seed of its own, SEED, SEED+1, ...; after a number of operations
 * drawn from that, ops and its QEMU get SIGKILL. Then e2fsck or (every fourth time)
 * our own kernel's next mount replays the journal, and the judge looks.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "judge.h"

#define STEPS         2500u
#define KILL_AFTER    700u /* operations at most */
#define VOLUME_MIB    32
#define QUIET_SECONDS 60 /* a machine that takes longer has failed */

static pid_t machine; /* its process group */

/* It has been quiet for too long: its end is what the reader waits for. */
static void on_alarm(int signal)
{
    (void)signal;
    kill(-machine, SIGABRT);
}

struct rig {
    const char *ops, *load, *dir;
    char volume[512], fresh[512];
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

/* Starts the machine in a process group of its own; its stdout in *out. */
static pid_t machine_start(const struct rig *r, char *const words[], int *out)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC))
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        setsid();
        dup2(null, 0);
        dup2(pipes[1], 1);
        execv(r->ops, words);
        _exit(127);
    }
    close(pipes[1]);
    *out = pipes[0];
    return pid;
}

/* Takes `WORKER INDEX` lines out of what has come. */
static void lines_take(char *buf, size_t *have, struct told *told)
{
    char *at = buf;
    for (char *end; (end = memchr(at, '\n', (size_t)(buf + *have - at))); at = end + 1) {
        unsigned worker, index;
        if (sscanf(at, "%u %u", &worker, &index) == 2 && worker < WORKERS)
            told->done[worker] = index;
    }
    *have -= (size_t)(at - buf);
    memmove(buf, at, *have);
}

/* Reads until `enough` operations have ended, or (0) to the end. */
static bool listen_to(int fd, struct told *told, uint32_t enough, char *buf, size_t *have)
{
    for (;;) {
        ssize_t n = read(fd, buf + *have, 4095 - *have);
        if (n <= 0)
            return n == 0;
        *have += (size_t)n;
        lines_take(buf, have, told);
        uint32_t sum = 0;
        for (unsigned w = 0; w < WORKERS; w++)
            sum += told->done[w];
        if (enough && sum >= enough)
            return true;
    }
}

/* The volume is free again: QEMU has left. */
static void wait_until_left(const struct rig *r)
{
    int fd = open(r->volume, O_RDWR | O_CLOEXEC);
    flock(fd, LOCK_EX);
    close(fd);
}

static bool volume_copy(const struct rig *r)
{
    char cmd[1100];
    snprintf(cmd, sizeof cmd, "cp %s %s", r->fresh, r->volume);
    return !system(cmd);
}

/* Our own kernel mounts it, and that is all. */
static bool recover(const struct rig *r)
{
    char mount[600], *words[] = {(char *)r->ops, "run", "--mounts", mount, "/bin/true", NULL};
    int out, status;
    snprintf(mount, sizeof mount, "%s:/data", r->volume);
    pid_t pid = machine_start(r, words, &out);
    close(out);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void pause_us(uint64_t us)
{
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    nanosleep(&t, NULL);
}

static bool run_and_kill(const struct rig *r, uint64_t seed, struct told *told)
{
    char mount[600], text[32], steps[16], buf[4096];
    char *words[] = {(char *)r->ops,
                     "run",
                     "--smp",
                     seed % 2 ? "2" : "1",
                     "--mounts",
                     mount,
                     (char *)r->load,
                     "/data",
                     text,
                     steps,
                     NULL};
    size_t have = 0;
    int out, status;
    snprintf(mount, sizeof mount, "%s:/data", r->volume);
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    snprintf(steps, sizeof steps, "%u", STEPS);
    pid_t pid = machine = machine_start(r, words, &out);
    alarm(QUIET_SECONDS);
    bool ok = listen_to(out, told, 1 + (uint32_t)(mix(seed) % KILL_AFTER), buf, &have);
    pause_us(mix(seed + 1) % 4000);
    kill(-pid, SIGKILL);
    ok = listen_to(out, told, 0, buf, &have) && ok;
    alarm(0);
    close(out);
    waitpid(pid, &status, 0);
    wait_until_left(r);
    if (ok && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    fprintf(stderr, "kill: the load ended by itself (%d)\n", status);
    return false;
}

static bool one(const struct rig *r, uint64_t seed)
{
    struct told told = {.seed = seed, .steps = STEPS};
    bool ours = seed % 4 == 0;
    if (!volume_copy(r) || !run_and_kill(r, seed, &told))
        return false;
    if (ours ? !recover(r) : !judge_replay(r->volume))
        return false;
    return judge_sound(r->volume) && judge_content(r->volume, &told);
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    signal(SIGALRM, on_alarm);
    struct rig r = {argv[1], argv[2], argv[3], "", ""};
    uint64_t seed = strtoull(argv[4], NULL, 0), count = strtoull(argv[5], NULL, 0), failed = 0;
    snprintf(r.volume, sizeof r.volume, "%s/kill-%llu", r.dir, (unsigned long long)seed);
    snprintf(r.fresh, sizeof r.fresh, "%s.fresh", r.volume);
    if (!judge_make_volume(r.fresh, VOLUME_MIB))
        return 2;
    for (uint64_t i = 0; i < count; i++) {
        if (one(&r, seed + i))
            continue;
        failed++;
        printf("not ok kill, seed %llu\n    repeat: tests/power/run kill %llu 1\n",
               (unsigned long long)(seed + i), (unsigned long long)(seed + i));
        fflush(stdout);
        char keep[600];
        snprintf(keep, sizeof keep, "%s.bad", r.volume);
        rename(r.volume, keep);
    }
    printf("killed %llu %llu\n", (unsigned long long)(count - failed), (unsigned long long)failed);
    return failed != 0;
}
