/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-ins for core/ and arch/: logs go nowhere, a panic aborts the test. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/x86_64/features.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/random.h"

struct percpu fake_percpu;
uint32_t cpu_features;
char *fake_phys_base;

void log_write(enum log_level level, const char *fmt, ...)
{
    if (!getenv("UNIT_LOG"))
        return;
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "log %d: ", level);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

void panic(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    abort();
}

void random_bytes(void *buf, size_t n)
{
    unsigned char *p = buf;
    while (n--)
        *p++ = (unsigned char)rand();
}

unsigned fake_random_bits; /* entropy that came in */

void random_seed(const void *data, size_t n, unsigned bits)
{
    (void)data;
    (void)n;
    fake_random_bits += bits;
}

bool random_ready(void)
{
    return fake_random_bits >= 256;
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}
