/* SPDX-License-Identifier: Apache-2.0 */
/* Compose files from nowhere: what is taken is whole, and in an order in which it can be started.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compose.h"

static char file[] = "/tmp/fuzz-compose.XXXXXX";

static void remove_file(void)
{
    unlink(file);
}

static void check(const struct compose *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct service *s = &c->services[i];
        size_t before = 0;
        if (!s->name || !s->instance || !s->run.count)
            abort();
        for (size_t k = 0; k < s->after.count; k++)
            for (size_t n = 0; n < i; n++)
                before += strcmp(c->services[n].name, s->after.items[k]) == 0;
        if (before != s->after.count)
            abort(); /* it waits for one that comes later */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct compose c;
    struct err err = {0};
    if (fd < 0) {
        fd = mkstemp(file);
        atexit(remove_file);
    }
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    if (compose_load(&c, file, &err))
        check(&c);
    else if (!err.message)
        abort(); /* a failure without a reason */
    compose_free(&c);
    err_free(&err);
    return 0;
}
