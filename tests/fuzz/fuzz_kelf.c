/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's ELF loader on any bytes; what it asks to map must lie in the address space. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/layout.h"
#include "file/file.h"
#include "fs/vnode.h"
#include "proc/elf.h"
#include "vm/map.h"

static const uint8_t *input;
static size_t input_size;

ssize_t vnode_read_kernel(struct vnode *v, void *buf, size_t n, uint64_t off)
{
    (void)v;
    if (off >= input_size)
        return 0;
    size_t part = input_size - off < n ? input_size - off : n;
    memcpy(buf, input + off, part);
    return (ssize_t)part;
}

int vm_map(uint64_t *addr, uint64_t len, uint32_t prot, uint32_t flags, uint32_t max_prot,
           struct vm_object *object, uint64_t pgoff)
{
    (void)prot, (void)flags, (void)max_prot, (void)object, (void)pgoff;
    if (*addr & (PAGE_SIZE - 1) || len & (PAGE_SIZE - 1) || !len)
        abort();
    return *addr >= USER_END || len > USER_END - *addr ? -ENOMEM : 0;
}

int zero_user(struct uptr dst, size_t n)
{
    if (n >= PAGE_SIZE)
        abort();
    (void)dst;
    return 0;
}

static void object_put(struct vm_object *obj)
{
    (void)obj;
}

static const struct vm_object_ops object_ops = {.put = object_put};
static struct vm_object object = {&object_ops};

static int file_map(struct file *f, struct vm_object **out)
{
    (void)f;
    *out = &object;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct file_ops ops = {.mmap = file_map};
    struct file f = {.ops = &ops};
    struct elf e;
    struct elf_image image;
    const char *why;
    /* A valid identification in front lets the fuzzer reach what comes after it. */
    uint8_t *file = malloc(size + 1);
    memcpy(file, data, size);
    if (size >= 20) {
        memcpy(file, "\177ELF\2\1\1", 7);
        file[18] = EM_X86_64;
        file[19] = 0;
    }
    input = file;
    input_size = size;
    if (!elf_read(&f, &e, &why))
        elf_map(&f, &e, 0x10000, &image);
    free(file);
    return 0;
}
