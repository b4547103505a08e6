/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ELF file says about itself, read with libelf from its program headers
 * and dynamic section. Section headers are never trusted, nothing is executed,
 * and every offset is checked against the file, so hostile files are only errors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "strlist.h"

struct elfinfo {
    bool is64;
    unsigned machine; /* EM_... */
    unsigned type;    /* ET_... */
    uint64_t entry;
    uint64_t memory; /* bytes its PT_LOAD segments take */
    char *interp;    /* NULL: none */
    char *soname;    /* NULL: none; likewise below */
    char *rpath;
    char *runpath;
    struct strlist needed;
};

/* Does it start with the ELF magic? */
bool elfinfo_magic(const void *data, size_t size);

/* Reads `size` bytes at `data`; `name` is for messages. The result is freed with elfinfo_free(),
 * also after a failure. Files for another machine or class are read as far as their header. */
bool elfinfo_read(struct elfinfo *info, const char *name, const void *data, size_t size,
                  struct err *err);

/* The same for a file. */
bool elfinfo_load(struct elfinfo *info, const char *path, struct err *err);

/* Can it be a program of ours? Otherwise the error says why not (wrong machine, library, ...). */
bool elfinfo_check_program(const struct elfinfo *info, const char *name, struct err *err);

/* Can an x86-64 program load it as a library? */
bool elfinfo_is_library(const struct elfinfo *info);

void elfinfo_free(struct elfinfo *info);
