/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of a volume after a cut. One sentence to stderr for the first thing that is wrong. */
#pragma once

#include "plan.h"

/* The load that was cut: what has been told of it. */
struct told {
    uint64_t seed;
    uint32_t steps;
    uint32_t done[WORKERS]; /* operations known to have ended */
};

/*
 * Replays the journal with e2fsck, which may find nothing else to do than deleted
 * files that were still open.
 */
bool judge_replay(const char *image);
/* e2fsck -fn has nothing to say. */
bool judge_sound(const char *image);
/* Names, sizes and contents are what `told` allows. */
bool judge_content(const char *image, const struct told *told);
/* A template of `mib` MiB whose free blocks hold 0xee, with the directories of the workers. */
bool judge_make_volume(const char *image, unsigned mib);
