/* SPDX-License-Identifier: Apache-2.0 */
/* What a supervisor is made of before it is a process of its own (supervisor_start.c). */
#pragma once

#include "instance.h"
#include "instance_store.h"
#include "plan.h"

struct attempt;

struct supervised {
    struct stored store;   /* locked */
    struct instance place; /* claimed */
    cJSON *config;         /* the words point into it */
    char *directory;       /* where the words were said */
    char **words;
    struct request request;
    int listen; /* ops.sock */
    int report; /* to who starts it; -1: told already */
};

/* Tells who waits that the program runs (NULL), or how the attempt ended before it did. */
void supervised_report(struct supervised *in, const struct attempt *a);

/* The supervisor's life. */
void supervisor_main(struct supervised *in);
