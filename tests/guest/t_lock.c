/* SPDX-License-Identifier: Apache-2.0 */
/* File locks: flock, open-file-description locks, and the process's record locks. */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/file.h>

static int open_new(const char *name, int flags)
{
    return open(tmp_path(name), flags | O_CREAT, 0600);
}

static int set(int fd, int cmd, short type, off_t start, off_t len)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, cmd, &l);
}

/* What stands in the way of the lock. */
static struct flock ask(int fd, int cmd, short type, off_t start, off_t len)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    if (fcntl(fd, cmd, &l))
        l.l_type = -1;
    return l;
}

static bool is(struct flock l, short type, off_t start, off_t len, int pid)
{
    return l.l_type == type && l.l_whence == SEEK_SET && l.l_start == start && l.l_len == len &&
           l.l_pid == pid;
}

/* Lines of /proc/locks about fd's file that hold `text`. */
static int lines(int fd, const char *text)
{
    char line[256], ino[32];
    struct stat st;
    int n = 0;
    FILE *f = fopen("/proc/locks", "r");
    if (!f || fstat(fd, &st))
        return -1;
    snprintf(ino, sizeof ino, ":%llu ", (unsigned long long)st.st_ino);
    while (fgets(line, sizeof line, f))
        n += strstr(line, ino) && strstr(line, text);
    fclose(f);
    return n;
}

TEST(flock_conflicts)
{
    int a = open_new("f", O_RDWR), b = open_new("f", O_RDONLY), c = open_new("g", O_RDWR);
    CHECK(flock(a, LOCK_EX) == 0);
    CHECK(FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK));
    CHECK(FAILS(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK));
    CHECK(flock(c, LOCK_EX | LOCK_NB) == 0);
    CHECK(flock(a, LOCK_EX | LOCK_NB) == 0);
    CHECK(flock(a, LOCK_SH) == 0);
    CHECK(flock(b, LOCK_SH | LOCK_NB) == 0);
    CHECK(FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK));
    /* The refused conversion has cost b its shared lock. */
    CHECK(flock(a, LOCK_EX | LOCK_NB) == 0);
    CHECK(flock(a, LOCK_UN) == 0 && flock(a, LOCK_UN) == 0);
    CHECK(flock(b, LOCK_EX | LOCK_NB) == 0);
    close(a);
    close(b);
    close(c);
    unlink(tmp_path("f"));
    unlink(tmp_path("g"));
}

TEST(flock_errors)
{
    int a = open_new("f", O_RDWR), p = open(tmp_path("f"), O_PATH), none = open(tmp_path("f"), 3);
    CHECK(FAILS(flock(a, 0), EINVAL));
    CHECK(FAILS(flock(a, LOCK_NB), EINVAL));
    CHECK(FAILS(flock(a, LOCK_SH | LOCK_EX), EINVAL));
    CHECK(FAILS(flock(a, 16), EINVAL));
    CHECK(FAILS(flock(-1, LOCK_SH), EBADF));
    CHECK(FAILS(flock(p, LOCK_SH), EBADF));
    CHECK(none >= 0 && FAILS(flock(none, LOCK_SH), EBADF) && flock(none, LOCK_UN) == 0);
    close(none);
    close(p);
    close(a);
    unlink(tmp_path("f"));
}

TEST(flock_goes_with_the_description)
{
    int a = open_new("f", O_RDWR), b = open_new("f", O_RDWR), d = dup(a);
    CHECK(flock(a, LOCK_EX) == 0);
    CHECK(flock(d, LOCK_EX | LOCK_NB) == 0);
    close(a);
    CHECK(FAILS(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK));
    close(d);
    CHECK(flock(b, LOCK_EX | LOCK_NB) == 0);
    close(b);
    /* Directories, and a name that is gone. */
    a = open("/tmp", O_RDONLY | O_DIRECTORY);
    CHECK(flock(a, LOCK_SH | LOCK_NB) == 0);
    close(a);
    a = open(tmp_path("f"), O_RDWR);
    b = open(tmp_path("f"), O_RDWR);
    unlink(tmp_path("f"));
    CHECK(flock(a, LOCK_EX) == 0 && FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK));
    close(a);
    close(b);
}

TEST(flock_pipe)
{
    int p[2], q[2];
    CHECK(pipe(p) == 0 && pipe(q) == 0);
    CHECK(flock(p[0], LOCK_EX | LOCK_NB) == 0);
    CHECK(FAILS(flock(p[1], LOCK_EX | LOCK_NB), EWOULDBLOCK));
    CHECK(flock(q[1], LOCK_EX | LOCK_NB) == 0);
    close(p[0]);
    CHECK(flock(p[1], LOCK_EX | LOCK_NB) == 0);
    close(p[1]);
    close(q[0]);
    close(q[1]);
}

struct waiting {
    int fd, result, error;
    bool ofd;
    volatile bool done;
};

static void *take(void *arg)
{
    struct waiting *w = arg;
    w->result = w->ofd ? set(w->fd, F_OFD_SETLKW, F_WRLCK, 5, 10) : flock(w->fd, LOCK_EX);
    w->error = errno;
    w->done = true;
    return NULL;
}

TEST(flock_waits)
{
    pthread_t t;
    int a = open_new("f", O_RDWR), b = open_new("f", O_RDWR);
    struct waiting w = {.fd = b};
    CHECK(flock(a, LOCK_SH) == 0);
    CHECK(pthread_create(&t, NULL, take, &w) == 0);
    CHECK(SOON(lines(b, "-> FLOCK  ADVISORY  WRITE") == 1));
    CHECK(!w.done && lines(a, ": FLOCK  ADVISORY  READ") == 1);
    CHECK(flock(a, LOCK_UN) == 0);
    CHECK(pthread_join(t, NULL) == 0 && w.result == 0);
    CHECK(FAILS(flock(a, LOCK_SH | LOCK_NB), EWOULDBLOCK));
    CHECK(lines(b, "->") == 0 && lines(b, "FLOCK  ADVISORY  WRITE") == 1);
    /* The last close wakes, too. */
    w = (struct waiting){.fd = a};
    CHECK(pthread_create(&t, NULL, take, &w) == 0);
    CHECK(SOON(lines(a, "->") == 1));
    close(b);
    CHECK(pthread_join(t, NULL) == 0 && w.result == 0);
    close(a);
    unlink(tmp_path("f"));
}

TEST(ofd_waits)
{
    pthread_t t;
    int a = open_new("f", O_RDWR), b = open_new("f", O_RDWR);
    struct waiting w = {.fd = b, .ofd = true};
    CHECK(set(a, F_OFD_SETLK, F_RDLCK, 0, 100) == 0);
    CHECK(pthread_create(&t, NULL, take, &w) == 0);
    CHECK(SOON(lines(b, "-> OFDLCK ADVISORY  WRITE -1 ") == 1));
    CHECK(set(a, F_OFD_SETLK, F_UNLCK, 0, 10) == 0);
    /* Linux wakes him to find out that he has to go on waiting. */
    CHECK(SOON(lines(b, "->") == 1) && !w.done);
    CHECK(set(a, F_OFD_SETLK, F_UNLCK, 10, 5) == 0);
    CHECK(pthread_join(t, NULL) == 0 && w.result == 0);
    CHECK(lines(a, " 5 14\n") == 1 && lines(a, " 15 99\n") == 1);
    close(b);
    close(a);
    unlink(tmp_path("f"));
}

static volatile int caught;

static void on_signal(int sig)
{
    caught = sig;
}

/* A signal ends the wait, or (SA_RESTART) the wait goes on. */
static bool interrupted(bool ofd, bool restart)
{
    pthread_t t;
    int a = open_new("f", O_RDWR), b = open_new("f", O_RDWR);
    struct waiting w = {.fd = b, .ofd = ofd};
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0};
    caught = 0;
    sigaction(SIGUSR1, &act, NULL);
    bool ok = (ofd ? set(a, F_OFD_SETLK, F_WRLCK, 0, 0) : flock(a, LOCK_EX)) == 0;
    ok = ok && pthread_create(&t, NULL, take, &w) == 0 && SOON(lines(b, "->") == 1);
    if (!ok)
        return false;
    pthread_kill(t, SIGUSR1);
    ok = SOON(caught == SIGUSR1);
    if (restart) {
        ok = ok && SOON(lines(b, "->") == 1) && !w.done;
        close(a);
        pthread_join(t, NULL);
        ok = ok && w.result == 0;
    } else {
        pthread_join(t, NULL);
        ok = ok && w.result == -1 && w.error == EINTR && lines(b, "->") == 0;
        close(a);
    }
    close(b);
    unlink(tmp_path("f"));
    return ok;
}

TEST(signals_interrupt)
{
    CHECK(interrupted(false, false));
    CHECK(interrupted(true, false));
    CHECK(interrupted(false, true));
    CHECK(interrupted(true, true));
}

TEST(ofd_ranges)
{
    int a = open_new("f", O_RDWR), b = open_new("f", O_RDWR);
    CHECK(set(a, F_OFD_SETLK, F_WRLCK, 10, 10) == 0);
    CHECK(FAILS(set(b, F_OFD_SETLK, F_RDLCK, 19, 1), EAGAIN));
    CHECK(FAILS(set(b, F_OFD_SETLK, F_WRLCK, 0, 0), EAGAIN));
    CHECK(set(b, F_OFD_SETLK, F_WRLCK, 0, 10) == 0);
    CHECK(set(b, F_OFD_SETLK, F_WRLCK, 20, 0) == 0);
    CHECK(is(ask(b, F_OFD_GETLK, F_RDLCK, 0, 0), F_WRLCK, 10, 10, -1));
    CHECK(ask(a, F_OFD_GETLK, F_WRLCK, 10, 10).l_type == F_UNLCK);
    CHECK(is(ask(a, F_OFD_GETLK, F_WRLCK, 100, 1), F_WRLCK, 20, 0, -1));
    CHECK(set(b, F_OFD_SETLK, F_UNLCK, 0, 0) == 0);
    CHECK(lines(a, "OFDLCK") == 1);
    close(a);
    CHECK(lines(b, "OFDLCK") == 0);
    close(b);
    unlink(tmp_path("f"));
}

TEST(ofd_split_and_merge)
{
    int a = open_new("f", O_RDWR), b = open_new("f", O_RDWR);
    CHECK(set(a, F_OFD_SETLK, F_WRLCK, 0, 100) == 0);
    CHECK(set(a, F_OFD_SETLK, F_RDLCK, 40, 20) == 0);
    CHECK(lines(a, "OFDLCK") == 3);
    CHECK(lines(a, "WRITE") == 2 && lines(a, " 0 39\n") == 1 && lines(a, " 60 99\n") == 1);
    CHECK(lines(a, "READ") == 1 && lines(a, " 40 59\n") == 1);
    CHECK(set(b, F_OFD_SETLK, F_RDLCK, 40, 20) == 0);
    CHECK(FAILS(set(b, F_OFD_SETLK, F_RDLCK, 39, 1), EAGAIN));
    CHECK(FAILS(set(a, F_OFD_SETLK, F_WRLCK, 40, 20), EAGAIN));
    CHECK(set(b, F_OFD_SETLK, F_UNLCK, 40, 20) == 0);
    CHECK(set(a, F_OFD_SETLK, F_WRLCK, 40, 20) == 0);
    CHECK(lines(a, "OFDLCK") == 1 && lines(a, " 0 99\n") == 1);
    CHECK(set(a, F_OFD_SETLK, F_WRLCK, 100, 50) == 0); /* touches */
    CHECK(lines(a, "OFDLCK") == 1 && lines(a, " 0 149\n") == 1);
    CHECK(set(a, F_OFD_SETLK, F_WRLCK, 151, 1) == 0);
    CHECK(lines(a, "OFDLCK") == 2);
    CHECK(set(a, F_OFD_SETLK, F_UNLCK, 50, 50) == 0);
    CHECK(lines(a, " 0 49\n") == 1 && lines(a, " 100 149\n") == 1 && lines(a, " 151 151\n") == 1);
    CHECK(set(a, F_OFD_SETLK, F_RDLCK, 40, 70) == 0);
    CHECK(lines(a, " 0 39\n") == 1 && lines(a, " 40 109\n") == 1 && lines(a, " 110 149\n") == 1);
    CHECK(set(a, F_OFD_SETLK, F_WRLCK, 0, 0) == 0);
    CHECK(lines(a, "OFDLCK") == 1 && lines(a, " 0 EOF\n") == 1);
    close(a);
    close(b);
    unlink(tmp_path("f"));
}

TEST(process_locks)
{
    int a = open_new("f", O_RDWR), b = open_new("f", O_RDWR), c = open_new("f", O_RDWR);
    CHECK(set(a, F_SETLK, F_WRLCK, 0, 10) == 0);
    CHECK(set(b, F_SETLKW, F_WRLCK, 5, 10) == 0); /* the same owner */
    CHECK(ask(b, F_GETLK, F_WRLCK, 0, 0).l_type == F_UNLCK);
    CHECK(is(ask(b, F_OFD_GETLK, F_WRLCK, 0, 0), F_WRLCK, 0, 15, getpid()));
    CHECK(FAILS(set(a, F_OFD_SETLK, F_RDLCK, 14, 1), EAGAIN));
    CHECK(set(a, F_OFD_SETLK, F_RDLCK, 15, 1) == 0);
    CHECK(FAILS(set(a, F_SETLK, F_WRLCK, 15, 1), EAGAIN));
    CHECK(set(a, F_SETLK, F_RDLCK, 15, 1) == 0);
    CHECK(is(ask(a, F_GETLK, F_WRLCK, 15, 1), F_RDLCK, 15, 1, -1));
    CHECK(flock(c, LOCK_EX | LOCK_NB) == 0); /* flock is apart */
    /* Any close of any descriptor of the file ends them, not the others. */
    close(dup(b));
    CHECK(lines(a, "POSIX") == 0 && lines(a, "OFDLCK") == 1 && lines(a, "FLOCK") == 1);
    CHECK(set(a, F_SETLK, F_WRLCK, 0, 10) == 0 && lines(a, "POSIX") == 1);
    CHECK(dup2(0, b) == b && lines(a, "POSIX") == 0);
    close(a);
    close(b);
    close(c);
    unlink(tmp_path("f"));
}

TEST(positions)
{
    int a = open_new("f", O_RDWR), b = open_new("f", O_RDWR);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = -10, .l_len = 5};
    CHECK(ftruncate(a, 1000) == 0 && lseek(a, 100, SEEK_SET) == 100);
    CHECK(fcntl(a, F_OFD_SETLK, &l) == 0);
    CHECK(is(ask(b, F_OFD_GETLK, F_RDLCK, 0, 0), F_WRLCK, 90, 5, -1));
    l = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = -100};
    CHECK(fcntl(a, F_OFD_SETLK, &l) == 0);
    CHECK(is(ask(b, F_OFD_GETLK, F_RDLCK, 500, 0), F_WRLCK, 900, 100, -1));
    l = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_CUR, .l_start = 3, .l_len = 4};
    CHECK(fcntl(b, F_OFD_GETLK, &l) == 0 && l.l_type == F_UNLCK && l.l_whence == SEEK_CUR &&
          l.l_start == 3 && l.l_len == 4);
    close(a);
    close(b);
    unlink(tmp_path("f"));
}

TEST(record_errors)
{
    int a = open_new("f", O_RDWR), r = open_new("f", O_RDONLY), w = open_new("f", O_WRONLY);
    int p = open(tmp_path("f"), O_PATH);
    struct flock l = {.l_type = F_WRLCK, .l_whence = 3};
    CHECK(FAILS(fcntl(a, F_SETLK, &l), EINVAL));
    CHECK(FAILS(fcntl(a, F_OFD_SETLK, &l), EINVAL));
    l = (struct flock){.l_type = F_WRLCK, .l_pid = 1};
    CHECK(FAILS(fcntl(a, F_OFD_SETLK, &l), EINVAL) && FAILS(fcntl(a, F_OFD_GETLK, &l), EINVAL));
    CHECK(fcntl(a, F_SETLK, &l) == 0);
    CHECK(FAILS(set(a, F_SETLK, 7, 0, 0), EINVAL));
    CHECK(ask(a, F_GETLK, F_UNLCK, 0, 0).l_type == -1 && errno == EINVAL);
    CHECK(FAILS(set(r, F_SETLK, F_WRLCK, 0, 0), EBADF));
    CHECK(FAILS(set(r, F_OFD_SETLK, F_WRLCK, 0, 0), EBADF));
    CHECK(FAILS(set(w, F_OFD_SETLK, F_RDLCK, 0, 0), EBADF));
    CHECK(ask(w, F_OFD_GETLK, F_RDLCK, 50, 1).l_type == F_WRLCK);
    CHECK(FAILS(set(p, F_OFD_SETLK, F_RDLCK, 0, 0), EBADF));
    CHECK(FAILS(set(p, F_GETLK, F_RDLCK, 0, 0), EBADF));
    CHECK(FAILS(set(a, F_SETLK, F_WRLCK, -1, 0), EINVAL));
    CHECK(FAILS(set(a, F_SETLK, F_WRLCK, 5, -6), EINVAL));
    CHECK(set(a, F_SETLK, F_WRLCK, 5, -5) == 0);
    CHECK(FAILS(set(a, F_SETLK, F_WRLCK, INT64_MAX, 2), EOVERFLOW));
    CHECK(set(a, F_SETLK, F_WRLCK, INT64_MAX, 1) == 0);
    l = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = INT64_MAX};
    CHECK(lseek(a, 10, SEEK_SET) == 10 && FAILS(fcntl(a, F_SETLK, &l), EOVERFLOW));
    CHECK(FAILS(fcntl(a, F_SETLK, (void *)8), EFAULT));
    close(p);
    close(w);
    close(r);
    close(a);
    unlink(tmp_path("f"));
}

#define TAKERS 4
#define ROUNDS 500

static long shared_count;

/* Each by its own description: the lock is the only order between the threads. */
static void *count_up(void *arg)
{
    int fd = open_new("count", O_RDWR);
    bool ofd = *(bool *)arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (ofd ? set(fd, F_OFD_SETLKW, F_WRLCK, 3, 1) : flock(fd, LOCK_EX))
            break;
        long seen = *(volatile long *)&shared_count;
        if (i % 16 == 0)
            sched_yield();
        *(volatile long *)&shared_count = seen + 1;
        if (ofd ? set(fd, F_OFD_SETLK, F_UNLCK, 0, 0) : flock(fd, LOCK_UN))
            break;
    }
    close(fd);
    return NULL;
}

TEST(exclusion)
{
    for (int ofd = 0; ofd < 2; ofd++) {
        pthread_t t[TAKERS];
        bool kind = ofd;
        shared_count = 0;
        for (int i = 0; i < TAKERS; i++)
            CHECK(pthread_create(&t[i], NULL, count_up, &kind) == 0);
        for (int i = 0; i < TAKERS; i++)
            CHECK(pthread_join(t[i], NULL) == 0);
        CHECK(shared_count == TAKERS * ROUNDS);
    }
    unlink(tmp_path("count"));
}
