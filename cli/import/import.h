/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops-import: the one program of ours that touches foreign bytes. `ops` runs it with a directory
 * of its own and renames that into place, or deletes it if this fails. Its commands, one file
 * each (import_*.c), share the options below.
 *
 * A directory that it fills has sysroot/ (which becomes the root filesystem), sysroot.mtree
 * (mtree.h), and for images package.manifest and README.md. Errors go to stderr as those of
 * `ops` do: one line `ops: ...`, perhaps one `hint: ...`, and the exit status; before them may be
 * lines `note: ...`. Results that a
 * command prints on stdout are said at its function. To the descriptor of --status go lines
 * "progress BYTES TOTAL NAME" (TOTAL 0: unknown).
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "import/budget.h"
#include "import/unpack.h"

struct import_options {
    const char *max_bytes, *max_entries, *max_ratio;
    const char *sha256, *limit, *entrypoint, *platform, *status, *stall;
    bool resume, insecure;
};

struct import {
    struct import_options options;
    struct budget budget;
    char **words;   /* behind the command's name */
    unsigned stall; /* seconds; 0: as it is by default */
    int status;     /* descriptor for progress, -1: none */
    int dir_fd;     /* words[0], once import_begin() opened it; -1 */
};

/* tar DIR FILE...: the files' content, one over the other, is sysroot/. */
bool import_tar(struct import *i, struct err *err);

/* archive DIR FILE: a package of OPS, a tar with one top directory in which package.manifest and
 * perhaps sysroot/ are. Its content is DIR's; prints the top directory's name. FILE may be `-`. */
bool import_archive(struct import *i, struct err *err);

/* deb DIR FILE...: packages of Debian become sysroot/; prints their control paragraphs, with an
 * empty line behind each. */
bool import_deb(struct import *i, struct err *err);

/* fetch URL FILE: see import_fetch.c. */
bool import_fetch(struct import *i, struct err *err);

/* oci DIR REFERENCE: a container image becomes a package; see reference.h and image_package.h. */
bool import_oci(struct import *i, struct err *err);

/* Opens the directory and confines this process (jail.h) to it, what else is writable (NULL:
 * nothing) and the inputs. */
bool import_begin(struct import *i, const struct strlist *writable, const struct strlist *readable,
                  struct err *err);

/* The same where all other words are inputs. */
bool import_inputs(struct import *i, struct err *err);

/* Makes sysroot/ in i->dir_fd; a descriptor of it, or -1. */
int import_sysroot(struct import *i, struct err *err);

/* Opens an input, `-` for stdin. -1: see err. */
int import_open(const char *path, struct err *err);

/* Writes sysroot.mtree, and says what was left out. */
bool import_list(struct import *i, struct unpack *u, const char *inner, struct err *err);
