/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF files from nowhere: everything the tool reads of a program or library, and
 * what it then does with the names found. The first input bytes are replaced by a
 * valid identification, so that little time goes into finding the magic.
 */
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elfinfo.h"
#include "ldpath.h"

static const unsigned char ident[] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elfinfo info;
    struct err err = {0};
    struct strlist dirs = {0};
    unsigned char *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    if (size > 20 && data[0] & 1) {
        memcpy(copy, ident, sizeof ident);
        copy[18] = EM_X86_64;
        copy[19] = 0;
    }
    if (elfinfo_read(&info, "fuzz", copy, size, &err)) {
        elfinfo_check_program(&info, "fuzz", &err);
        elfinfo_is_library(&info);
        if (info.runpath)
            ldpath_expand(&dirs, info.runpath, "/origin");
        if (info.rpath)
            ldpath_expand(&dirs, info.rpath, "/origin");
    }
    strlist_free(&dirs);
    elfinfo_free(&info);
    err_free(&err);
    free(copy);
    return 0;
}
