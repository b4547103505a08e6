/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V shared memory (shmget(2)) of one process: segments are unnamed files of
 * the hidden tmpfs, an attachment is a shared mapping of one. All take the one lock.
 */
#pragma once

#include <linux/shm.h>

#include "lib/types.h"

#define SHM_IDS 4096 /* as Linux' SHMMNI */
#define SHM_DEST                                                                                   \
    01000 /* shm_perm.mode: goes with its last attachment (not in the UAPI headers)                \
           */

struct shm_totals {
    unsigned segments;
    int top; /* the highest index in use, -1: none */
    uint64_t pages, resident;
};

/* The identifier. -EINVAL, -ENOENT, -EEXIST, -EACCES, -ENOSPC, -ENOMEM. */
int shm_get(int key, uint64_t size, int flags);
/* *at is the address that is wanted, 0: any, and receives the one it got. */
int shm_attach(int id, uint64_t *at, int flags);
/* -EINVAL: nothing is attached there. */
int shm_detach(uint64_t at);
/* `by_index`: `id` is a place in the table. The identifier. */
int shm_stat(int id, bool by_index, bool any, struct shmid64_ds *out);
int shm_set(int id, const struct shmid64_ds *ds);
/* It goes when nothing of it is attached any more; until then it has no key. */
int shm_remove(int id);
void shm_total(struct shm_totals *out);
