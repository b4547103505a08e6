/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a running machine, over the stream ops.instance: include/ops/control.h. */
#pragma once

struct seq;

/* Decoding and counts of system calls: syscall/dispatch.h, which is below. */
struct attend_tracer {
    int (*start)(const char *set, void (*sink)(const char *line));
    void (*stop)(void);
    void (*counts)(struct seq *s);
};

/* Starts to answer, where the stream is. After control_init(), which finds the streams. */
void attend_init(const struct attend_tracer *tracer);
