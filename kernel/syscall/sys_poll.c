/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: waiting for files: poll, select, epoll. */
#include <linux/errno.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/time_types.h>

#include "file/epoll.h"
#include "file/fdtable.h"
#include "file/wait.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "proc/task.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"

#define SET_IN     (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SET_OUT    (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SET_EXCEPT POLLPRI

static void files_put(struct poll_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (files[i].file)
            file_put(files[i].file);
}

/* Waits for the files of fds[]; fills revents. */
static long poll_fds(struct pollfd *fds, struct poll_file *files, unsigned count, uint64_t deadline)
{
    long bad = 0;
    for (unsigned i = 0; i < count; i++) {
        fds[i].revents = 0;
        files[i].events = (uint16_t)fds[i].events;
        if (fds[i].fd >= 0 && file_of(fds[i].fd, &files[i].file)) {
            fds[i].revents = POLLNVAL;
            bad++;
        }
    }
    long n = poll_wait(files, count, bad ? 0 : deadline);
    for (unsigned i = 0; i < count && n >= 0; i++)
        if (files[i].file)
            fds[i].revents = (short)files[i].revents;
    files_put(files, count);
    return n == -EINTR ? -ERESTARTNOHAND : n < 0 ? n : n + bad;
}

static long poll_user(struct uptr user, unsigned count, uint64_t deadline)
{
    if (count > process.fds->limit)
        return -EINVAL;
    struct pollfd *fds = kmalloc(MAX(count, 1u) * sizeof *fds);
    struct poll_file *files = kzalloc(MAX(count, 1u) * sizeof *files);
    long n = fds && files ? 0 : -ENOMEM;
    if (!n)
        n = copy_from_user(fds, user, count * sizeof *fds);
    if (!n)
        n = poll_fds(fds, files, count, deadline);
    for (unsigned i = 0; i < count && n >= 0; i++) {
        struct uptr to = uptr_add(user, i * sizeof *fds + offsetof(struct pollfd, revents));
        if (copy_to_user(to, &fds[i].revents, sizeof fds[i].revents))
            n = -EFAULT;
    }
    kfree(files);
    kfree(fds);
    return n;
}

long sys_poll(struct uptr fds, unsigned count, int timeout)
{
    return poll_user(fds, count, deadline_ms(timeout));
}

/* Stores what is left of a timeout; the result of the call does not depend on it. */
static void time_left(struct uptr timespec, uint64_t deadline, unsigned unit)
{
    uint64_t now = clock_now(), left = deadline > now ? deadline - now : 0;
    if (uptr_null(timespec) || deadline == CLOCK_NEVER)
        return;
    struct __kernel_timespec ts = {.tv_sec = (long long)(left / NSEC_PER_SEC),
                                   .tv_nsec = (long long)(left % NSEC_PER_SEC / unit)};
    (void)copy_to_user(timespec, &ts, sizeof ts);
}

/* Waits with another signal mask; NULL: no change. */
static long mask_enter(struct uptr mask, unsigned long size)
{
    uint64_t set;
    if (uptr_null(mask))
        return 0;
    if (size != sizeof set)
        return -EINVAL;
    if (copy_from_user(&set, mask, sizeof set))
        return -EFAULT;
    struct task *t = task_current();
    t->saved_sigmask = signal_set_mask(set);
    t->restore_sigmask = true;
    return 0;
}

/* The old mask again: at once, or after a signal's handler, by the return to the program. */
static void mask_leave(struct uptr mask, long result)
{
    struct task *t = task_current();
    if (uptr_null(mask) || result == -EINTR || result == -ERESTARTNOHAND)
        return;
    t->restore_sigmask = false;
    signal_set_mask(t->saved_sigmask);
}

long sys_ppoll(struct uptr fds, unsigned count, struct uptr timeout, struct uptr sigmask,
               unsigned long size)
{
    uint64_t deadline;
    long n = deadline_get(timeout, &deadline);
    if (!n)
        n = mask_enter(sigmask, size);
    if (n)
        return n;
    n = poll_user(fds, count, deadline);
    mask_leave(sigmask, n);
    time_left(timeout, deadline, 1);
    return n;
}

/* The three sets of select(2), as arrays of 64-bit words. */
struct sets {
    uint64_t *word[3];
    unsigned words;
};

static const uint32_t set_bits[3] = {SET_IN, SET_OUT, SET_EXCEPT};

static bool set_has(const struct sets *s, unsigned which, unsigned fd)
{
    return s->word[which][fd / 64] >> (fd % 64) & 1;
}

static unsigned set_events(const struct sets *s, unsigned fd)
{
    unsigned events = 0;
    for (unsigned i = 0; i < 3; i++)
        events |= set_has(s, i, fd) ? set_bits[i] : 0;
    return events;
}

/* Waits for the files of the sets and reduces the sets to what is ready. */
static long select_sets(struct sets *s, unsigned count, uint64_t deadline)
{
    long n = 0, bits = 0;
    struct poll_file *files = kzalloc(MAX(count, 1u) * sizeof *files);
    if (!files)
        return -ENOMEM;
    for (unsigned fd = 0; fd < count && !n; fd++) {
        files[fd].events = set_events(s, fd);
        if (files[fd].events)
            n = file_of((int)fd, &files[fd].file);
    }
    if (!n)
        n = poll_wait(files, count, deadline);
    for (unsigned i = 0; i < 3 && n >= 0; i++)
        for (unsigned fd = 0; fd < count; fd++) {
            if (!set_has(s, i, fd))
                continue;
            if (files[fd].revents & set_bits[i])
                bits++;
            else
                s->word[i][fd / 64] &= ~(1ull << (fd % 64));
        }
    files_put(files, count);
    kfree(files);
    return n == -EINTR ? -ERESTARTNOHAND : n < 0 ? n : bits;
}

static long select_user(int count, const struct uptr user[3], uint64_t deadline)
{
    if (count < 0)
        return -EINVAL;
    unsigned fds = MIN((unsigned)count, process.fds->cap);
    struct sets s = {.words = (fds + 63) / 64};
    size_t bytes = s.words * sizeof(uint64_t);
    uint64_t *memory = kzalloc(MAX(3 * bytes, (size_t)1));
    long n = memory ? 0 : -ENOMEM;
    for (unsigned i = 0; i < 3; i++) {
        s.word[i] = memory + i * s.words;
        if (!n && !uptr_null(user[i]))
            n = copy_from_user(s.word[i], user[i], (fds + 7) / 8);
    }
    if (!n)
        n = select_sets(&s, fds, deadline);
    for (unsigned i = 0; i < 3 && n >= 0; i++)
        if (!uptr_null(user[i]) && copy_to_user(user[i], s.word[i], (fds + 7) / 8))
            n = -EFAULT;
    kfree(memory);
    return n;
}

long sys_select(int count, struct uptr in, struct uptr out, struct uptr except, struct uptr timeout)
{
    uint64_t deadline = CLOCK_NEVER;
    int64_t tv[2];
    if (!uptr_null(timeout)) {
        if (copy_from_user(tv, timeout, sizeof tv))
            return -EFAULT;
        if (tv[0] < 0 || tv[1] < 0)
            return -EINVAL;
        uint64_t sec = (uint64_t)tv[0] + (uint64_t)tv[1] / 1000000;
        uint64_t ns = (uint64_t)tv[1] % 1000000 * 1000;
        if (sec < UINT64_MAX / NSEC_PER_SEC / 2)
            deadline = sec || ns ? clock_now() + sec * NSEC_PER_SEC + ns : 0;
    }
    long n = select_user(count, (struct uptr[3]){in, out, except}, deadline);
    time_left(timeout, deadline, 1000);
    return n;
}

long sys_pselect6(int count, struct uptr in, struct uptr out, struct uptr except,
                  struct uptr timeout, struct uptr sigmask)
{
    uint64_t deadline, mask[2] = {0}; /* pointer and size */
    long n = deadline_get(timeout, &deadline);
    if (!n && !uptr_null(sigmask))
        n = copy_from_user(mask, sigmask, sizeof mask);
    struct uptr set = {mask[0]};
    if (!n)
        n = mask_enter(set, mask[1]);
    if (n)
        return n;
    n = select_user(count, (struct uptr[3]){in, out, except}, deadline);
    mask_leave(set, n);
    time_left(timeout, deadline, 1);
    return n;
}

long sys_epoll_create1(unsigned flags)
{
    struct file *f;
    if (flags & ~(unsigned)EPOLL_CLOEXEC)
        return -EINVAL;
    int err = epoll_create(&f);
    return err ? err : file_install(f, flags & EPOLL_CLOEXEC);
}

long sys_epoll_create(int size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}

long sys_epoll_ctl(int fd, int op, int target, struct uptr event)
{
    struct epoll_event e = {0};
    struct file *f, *watched;
    if (op != EPOLL_CTL_DEL && copy_from_user(&e, event, sizeof e))
        return -EFAULT;
    long err = file_of(fd, &f);
    if (err)
        return err;
    err = file_of(target, &watched);
    if (!err) {
        err = epoll_control(f, op, target, watched, e.events, e.data);
        file_put(watched);
    }
    file_put(f);
    return err;
}

static long epoll_user(int fd, struct uptr events, int max, uint64_t deadline)
{
    struct file *f;
    long n = file_of(fd, &f);
    if (n)
        return n;
    n = epoll_collect(f, events, max, deadline);
    file_put(f);
    return n;
}

long sys_epoll_wait(int fd, struct uptr events, int max, int timeout)
{
    return epoll_user(fd, events, max, deadline_ms(timeout));
}

long sys_epoll_pwait(int fd, struct uptr events, int max, int timeout, struct uptr sigmask,
                     unsigned long size)
{
    long n = mask_enter(sigmask, size);
    if (n)
        return n;
    n = epoll_user(fd, events, max, deadline_ms(timeout));
    mask_leave(sigmask, n);
    return n;
}

long sys_epoll_pwait2(int fd, struct uptr events, int max, struct uptr timeout, struct uptr sigmask,
                      unsigned long size)
{
    uint64_t deadline;
    long n = deadline_get(timeout, &deadline);
    if (!n)
        n = mask_enter(sigmask, size);
    if (n)
        return n;
    n = epoll_user(fd, events, max, deadline);
    mask_leave(sigmask, n);
    return n;
}
