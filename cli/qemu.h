/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one QEMU command line. Five inherited sockets carry the program's streams,
 * the control channel and the serial line; there is no monitor but in a machine with
 * a name, which also has a SCSI controller for disks that come and go.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "confine.h"
#include "err.h"
#include "mounts.h"
#include "network.h"
#include "shares.h"
#include "strlist.h"

#define QEMU_SCSI     "instance" /* the controller */
#define QEMU_SCSI_BUS QEMU_SCSI ".0"

enum stream {
    STREAM_STDIN,
    STREAM_STDOUT,
    STREAM_STDERR,
    STREAM_CONTROL,
    STREAM_SERIAL,
    STREAM_COUNT
};

/* What ops opened for a QEMU that may not (confine.h), which inherits it. -1: nothing. */
struct handover {
    bool all; /* else QEMU opens files by their names */
    int kernel, root, core, qmp, guest, gdb;
    int *volumes; /* one for each mount */
    size_t volume_count;
};

struct machine {
    const char *qemu;
    const char *kernel;
    const char *root;     /* image file */
    const char *manifest; /* file */
    const char *core;     /* file for a core; NULL: none */
    const char *instance; /* directory of a machine with a name; NULL: it has none */
    const char *debug;    /* directory of gdb's socket, the machine starts stopped; NULL: none */
    bool root_read_only;  /* else writes go to an overlay that ends with the machine */
    bool q35;             /* PCI instead of microvm's virtio-mmio */
    bool kvm;
    bool balloon; /* what the program frees goes back to the host */
    unsigned cpus;
    uint64_t memory; /* bytes, a multiple of 1 MiB */
    struct network *network;
    const struct mounts *mounts;
    const struct shares *shares;
    struct confine confine;
    struct handover handover;
    int fds[STREAM_COUNT];
};

/* $OPS_QEMU, else qemu-system-x86_64 in PATH; freed with free(). NULL: see err. */
char *qemu_find(struct err *err);

/* First line of `QEMU --version`, freed with free(); NULL when it does not run. */
char *qemu_version(const char *qemu);

/* Whether it can share directories; false: see err. Runs it. */
bool qemu_can_share(const char *qemu, struct err *err);

void qemu_command(const struct machine *m, struct strlist *argv);

/* One line for a shell, quoted where needed; freed with free(). */
char *qemu_shell_line(const struct strlist *argv);
