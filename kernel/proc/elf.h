/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files: reading the headers and mapping the segments. The file is not trusted. */
#pragma once

#include <linux/elf.h>

#include "lib/types.h"

struct file;

#define ELF_PHDRS_MAX  128
#define ELF_INTERP_MAX 256

struct elf {
    Elf64_Ehdr header;
    unsigned count;
    Elf64_Phdr phdr[ELF_PHDRS_MAX];
    char interp[ELF_INTERP_MAX]; /* PT_INTERP, "" if none */
    bool exec_stack;             /* PT_GNU_STACK asks for it */
    uint64_t low, high;          /* page-aligned span of the PT_LOADs */
    uint64_t align;              /* largest PT_LOAD alignment, at least a page */
};

struct elf_image {
    uint64_t bias;        /* added to the file's addresses */
    uint64_t entry, phdr; /* addresses in memory; phdr 0 if no segment holds it */
    uint64_t brk;         /* first address behind the image */
    uint64_t code_start, code_end, data_start, data_end;
};

/* Reads and checks; -ENOEXEC with *why a static reason, or the error of the read. */
int elf_read(struct file *f, struct elf *e, const char **why);
/* Maps at e->low + bias; the range must be free. -ENOMEM, -EIO, -EEXIST. */
int elf_map(struct file *f, const struct elf *e, uint64_t bias, struct elf_image *out);
