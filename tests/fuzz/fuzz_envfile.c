/* SPDX-License-Identifier: Apache-2.0 */
/* Files of --env-file from nowhere: what is read are variables with names, or there is a reason. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "envfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c = {0};
    struct err err = {0};
    char name[40];
    int fd = memfd_create("env", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    setenv("HERE", "is set", 1);
    if (!envfile_load(&c, name, NULL, &err) && !err.message)
        abort();
    for (size_t i = 0; i < c.env.count; i++) {
        const char *equals = strchr(c.env.items[i], '=');
        if (!equals || equals == c.env.items[i])
            abort();
        for (size_t k = 0; k < i; k++)
            if (strncmp(c.env.items[k], c.env.items[i], (size_t)(equals - c.env.items[i]) + 1) == 0)
                abort(); /* one that is set twice is there once */
    }
    config_free(&c);
    err_free(&err);
    close(fd);
    return 0;
}
