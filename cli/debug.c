/* SPDX-License-Identifier: Apache-2.0 */
/* Debugger and core files: see debug.h. */
#include "debug.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "elfinfo.h"
#include "ops/image.h"
#include "qemu.h"
#include "strlist.h"

bool debug_socket_make(struct debug *d, struct err *err)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    d->directory = alloc_printf("%s/ops-gdb.XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(d->directory)) {
        free(d->directory);
        d->directory = NULL;
        return err_errno(err, "make", "a directory for gdb's socket");
    }
    d->socket = alloc_printf("%s/" DEBUG_SOCKET, d->directory);
    return true;
}

bool debug_core_open(struct debug *d, const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "write", path);
    close(fd);
    d->core = path;
    return true;
}

/* The kernel with its symbols stands beside the one without. */
static char *kernel_symbols(const char *kernel)
{
    size_t n = strlen(kernel);
    bool plain = n > 4 && strcmp(kernel + n - 4, ".elf") == 0;
    char *name = plain ? alloc_printf("%.*s.debug.elf", (int)n - 4, kernel) : alloc_string(kernel);
    if (access(name, R_OK) == 0)
        return name;
    free(name);
    return alloc_string(kernel);
}

void debug_print(const struct debug *d, const char *kernel, const char *program, FILE *to)
{
    struct elfinfo info = {0};
    struct err err = {0};
    struct strlist argv = {0};
    bool pie = elfinfo_load(&info, program, &err) && info.type == ET_DYN;
    char *symbols = kernel_symbols(kernel);
    strlist_add(&argv, "gdb");
    strlist_add(&argv, "-q");
    strlist_add(&argv, symbols);
    strlist_add(&argv, "-ex");
    strlist_addf(&argv, "add-symbol-file %s -o 0x%llx", program, pie ? OPS_PIE_BASE : 0ull);
    strlist_add(&argv, "-ex");
    strlist_addf(&argv, "target remote %s", d->socket);
    char *line = qemu_shell_line(&argv);
    fprintf(to, "ops: the machine waits for gdb (hbreak main, then continue):\n%s\n", line);
    free(line);
    free(symbols);
    strlist_free(&argv);
    elfinfo_free(&info);
    err_free(&err);
}

void debug_end(struct debug *d, const char *program, FILE *to)
{
    struct stat st;
    if (d->socket) {
        unlink(d->socket);
        rmdir(d->directory);
    }
    if (d->core && stat(d->core, &st) == 0 && S_ISREG(st.st_mode)) {
        if (st.st_size > 0)
            fprintf(to, "ops: core file: gdb %s %s\n", program, d->core);
        else
            unlink(d->core);
    }
    free(d->socket);
    free(d->directory);
}
