/* SPDX-License-Identifier: Apache-2.0 */
/* Files opened for QEMU: see handover.h. */
#include "handover.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "debug.h"
#include "instance.h"

static int file_open(const char *name, int flags, struct err *err)
{
    int fd = open(name, flags | O_CLOEXEC);
    if (fd < 0)
        err_errno(err, "open", name);
    return fd;
}

static bool copy_all(int from, int to)
{
    static char bytes[1 << 16];
    ssize_t n;
    while ((n = read(from, bytes, sizeof bytes)) > 0)
        if (write(to, bytes, (size_t)n) != n)
            return false;
    return n == 0;
}

static int sealed_copy(const char *name, struct err *err)
{
    int from = file_open(name, O_RDONLY, err), fd = -1;
    if (from < 0)
        return -1;
    fd = memfd_create("kernel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool ok = fd >= 0 && copy_all(from, fd) && fchmod(fd, 0444) == 0 &&
              fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0;
    if (!ok)
        err_errno(err, "copy", name);
    close(from);
    if (ok || fd < 0)
        return fd;
    close(fd);
    return -1;
}

static int socket_open(const char *dir, const char *name, struct err *err)
{
    struct instance place = {.dir = (char *)dir, .lock = -1};
    return instance_listen(&place, name, err);
}

/* The files that are locked already, whatever their names mean now. */
static bool volumes_open(struct handover *h, const struct mounts *mounts, struct err *err)
{
    h->volumes = alloc_array(NULL, mounts->count + 1, sizeof *h->volumes);
    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount *m = &mounts->items[i];
        char *name = alloc_printf("/proc/self/fd/%d", m->fd);
        int fd = open(name, (m->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        free(name);
        if (fd < 0)
            return err_errno(err, "open", m->file);
        h->volumes[h->volume_count++] = fd;
    }
    return true;
}

bool handover_open(struct machine *m, struct err *err)
{
    struct handover *h = &m->handover;
    h->all = true;
    if ((h->kernel = sealed_copy(m->kernel, err)) < 0 ||
        (h->root = file_open(m->root, O_RDONLY, err)) < 0 || !volumes_open(h, m->mounts, err))
        return false;
    if (m->core && (h->core = file_open(m->core, O_WRONLY, err)) < 0)
        return false;
    if (m->instance && ((h->qmp = socket_open(m->instance, INSTANCE_QMP, err)) < 0 ||
                        (h->guest = socket_open(m->instance, INSTANCE_GUEST, err)) < 0))
        return false;
    return !m->debug || (h->gdb = socket_open(m->debug, DEBUG_SOCKET, err)) >= 0;
}

size_t handover_keep(const struct handover *h, int *keep)
{
    const int all[HANDOVER_MOST] = {h->kernel, h->root, h->core, h->qmp, h->guest, h->gdb};
    size_t count = 0;
    for (size_t i = 0; i < HANDOVER_MOST; i++)
        if (all[i] >= 0)
            keep[count++] = all[i];
    for (size_t i = 0; i < h->volume_count; i++)
        keep[count++] = h->volumes[i];
    return count;
}

void handover_close(struct handover *h)
{
    const int all[HANDOVER_MOST] = {h->kernel, h->root, h->core, h->qmp, h->guest, h->gdb};
    for (size_t i = 0; i < HANDOVER_MOST; i++)
        if (all[i] >= 0)
            close(all[i]);
    for (size_t i = 0; i < h->volume_count; i++)
        close(h->volumes[i]);
    free(h->volumes);
    *h = (struct handover)HANDOVER_NONE;
}
