/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll(7): a set of watched files. Each watch waits on its file's queues with a
 * call-back that puts it on the ready list; epoll_collect() re-checks the bits.
 */
#pragma once

#include "file/file.h"

struct fd_table;

int epoll_create(struct file **out);
/*
 * epoll_ctl: op is EPOLL_CTL_*. The watch is for (f, fd). -EINVAL f is not an
 * epoll or op unknown, -EEXIST, -ENOENT, -EPERM target has no poll, -ELOOP, -ENOMEM.
 */
int epoll_control(struct file *f, int op, int fd, struct file *target, uint32_t events,
                  uint64_t data);

/* The last reference to f is gone: nobody watches it any more. */
void epoll_forget(struct file *f);

/*
 * Waits for results and stores up to max of them at `out`, an array of struct epoll_event.
 * Count, 0 at the deadline, -EINTR, -EINVAL, -EFAULT: the first could not be stored.
 */
int epoll_collect(struct file *f, struct uptr out, int max, uint64_t deadline);
