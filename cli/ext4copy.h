/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between the host and a filesystem in a file, as cp(1) places things: into a
 * directory that is there, else as the name given. Modes, times, holes and symlinks stay.
 * Into the filesystem owners become root; out of it they become the caller, without
 * set-id bits, and what is no file, directory or symlink is left out with a note.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "ext4file.h"

/* Host files into `to`. Without `recursive` a directory is refused and a symlink followed. */
bool ext4copy_in(struct ext4file *f, char **sources, size_t count, const char *to, bool recursive,
                 struct err *err);

/* Writes `n` bytes as the file `to`, whose directory must exist; an old one is replaced. */
bool ext4copy_bytes(struct ext4file *f, const char *to, const void *bytes, size_t n,
                    struct err *err);

/* The path `from` to the host's `to`. */
bool ext4copy_out(struct ext4file *f, const char *from, const char *to, bool recursive,
                  struct err *err);
