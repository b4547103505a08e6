/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What QEMU may do of what its user may. Started by root it runs under a user of its own,
 * one of CONFINE_FIRST to CONFINE_LAST that no account and no other machine has, in no group
 * of the host's; it then gets the files of the machine open (qemu.h). Where it needs root's
 * own files it keeps the user and loses the capabilities. In any case it cannot gain rights
 * (no_new_privs), leaves no core dump and has limits:
 *   - memory that it can write: the machine's, CONFINE_DATA, and CONFINE_CPU for each CPU;
 *   - address space: CONFINE_SPACE more than that, for what is mapped without being used;
 *   - files: CONFINE_FILES or, where its user has less, that;
 *   - threads, under a user of its own: CONFINE_THREADS, and one for each CPU.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/* Between what systemd documents for its own users and for those of its services. */
#define CONFINE_FIRST 60800u
#define CONFINE_LAST  61183u

#define CONFINE_DATA    (UINT64_C(2) << 30) /* translated code: 1 GiB; stacks of threads; the rest */
#define CONFINE_CPU     (UINT64_C(32) << 20) /* its thread's stack and buffers */
#define CONFINE_SPACE   (UINT64_C(14) << 30)
#define CONFINE_FILES   8192u
#define CONFINE_THREADS 128u /* 64 for disks at most, and some of QEMU's own */

struct confine {
    bool own_user;
    bool script;        /* around QEMU: its author knows what it needs, it loses nothing */
    const char *why;    /* it has not; the end of a sentence */
    uint64_t caps;      /* that it keeps, a bit each */
    uint64_t data;      /* bytes it can write */
    uint64_t files;     /* descriptors */
    uint64_t threads;   /* 0: no limit, as they are counted with all others of its user */
    unsigned group;     /* that may open /dev/kvm; 0: needed by none */
    unsigned user;      /* once taken */
    int lock;           /* of the user; -1: none */
    unsigned long last; /* the kernel's last capability */
};

/* What a machine asks of its QEMU. */
struct confine_needs {
    const char *qemu; /* file */
    bool kvm, shares;
    bool low_ports; /* some that not everybody may bind */
    uint64_t memory;
    unsigned cpus;
};

/* Settles what it will be. */
void confine_choose(struct confine *c, const struct confine_needs *needs);

/* Takes a user. Errors: none is free. */
bool confine_take(struct confine *c, struct err *err);

/* In the child process; 0 or an errno. */
int confine_enter(const void *confine);

/* For people: who it is, what it may; freed with free(). */
char *confine_user_text(const struct confine *c);
char *confine_limits_text(const struct confine *c);

/* Can everybody bind that port? */
bool confine_port_free(unsigned port);

void confine_free(struct confine *c);
