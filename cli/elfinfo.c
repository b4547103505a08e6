/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ELF files with libelf and distrust: see elfinfo.h. */
#include "elfinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "ops/exit.h"

#define ELFINFO_SEGMENTS 4096 /* more program headers or needed libraries than this is nonsense */
#define ELFINFO_NEEDED   4096
#define ELFINFO_STRING   4096

/* The bytes of one file and its PT_LOAD table, while it is read. */
struct elf_bytes {
    const char *data;
    size_t size;
    GElf_Phdr *loads;
    size_t load_count;
};

bool elfinfo_magic(const void *data, size_t size)
{
    return size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

static bool elf_broken(const char *name, const char *why, struct err *err)
{
    return err_set(err, OPS_EXIT_FAILED, "the file is damaged; copy or build it again",
                   "%s is not a usable ELF file: %s", name, why);
}

static bool range_ok(const struct elf_bytes *b, uint64_t offset, uint64_t size)
{
    return offset <= b->size && size <= b->size - offset;
}

/* The string at file offset `offset`, NULL when it does not end inside the file. */
static const char *string_at(const struct elf_bytes *b, uint64_t offset)
{
    if (offset >= b->size)
        return NULL;
    size_t room = b->size - offset;
    if (room > ELFINFO_STRING)
        room = ELFINFO_STRING;
    return memchr(b->data + offset, 0, room) ? b->data + offset : NULL;
}

/* File offset of a virtual address, UINT64_MAX when no segment holds it. */
static uint64_t offset_of(const struct elf_bytes *b, uint64_t address)
{
    for (size_t i = 0; i < b->load_count; i++) {
        const GElf_Phdr *p = &b->loads[i];
        if (address >= p->p_vaddr && address - p->p_vaddr < p->p_filesz)
            return p->p_offset + (address - p->p_vaddr);
    }
    return UINT64_MAX;
}

static bool dynamic_entry(struct elfinfo *info, const struct elf_bytes *b, uint64_t strings,
                          const Elf64_Dyn *dyn)
{
    char **field = NULL;
    switch (dyn->d_tag) {
    case DT_NEEDED:
        break;
    case DT_SONAME:
        field = &info->soname;
        break;
    case DT_RPATH:
        field = &info->rpath;
        break;
    case DT_RUNPATH:
        field = &info->runpath;
        break;
    default:
        return true;
    }
    const char *s = dyn->d_un.d_val < b->size ? string_at(b, strings + dyn->d_un.d_val) : NULL;
    if (!s || info->needed.count >= ELFINFO_NEEDED)
        return false;
    if (!field) {
        strlist_add(&info->needed, s);
        return true;
    }
    free(*field);
    *field = alloc_string(s);
    return true;
}

/* Fills needed, soname, rpath and runpath from the dynamic section. */
static bool dynamic_read(struct elfinfo *info, const char *name, const struct elf_bytes *b,
                         const GElf_Phdr *segment, struct err *err)
{
    if (!range_ok(b, segment->p_offset, segment->p_filesz))
        return elf_broken(name, "its dynamic section lies outside the file", err);
    size_t count = segment->p_filesz / sizeof(Elf64_Dyn);
    uint64_t strings = UINT64_MAX;
    Elf64_Dyn dyn;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            memcpy(&dyn, b->data + segment->p_offset + i * sizeof dyn, sizeof dyn);
            if (dyn.d_tag == DT_NULL)
                break;
            if (pass == 0 && dyn.d_tag == DT_STRTAB)
                strings = offset_of(b, dyn.d_un.d_ptr);
            if (pass == 1 && !dynamic_entry(info, b, strings, &dyn))
                return elf_broken(name, "a name in its dynamic section lies outside the file", err);
        }
        if (strings >= b->size) /* no names: nothing can be needed */
            return true;
    }
    return true;
}

static bool segments_read(struct elfinfo *info, const char *name, struct elf_bytes *b, Elf *elf,
                          size_t count, struct err *err)
{
    GElf_Phdr dynamic = {0};
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p))
            return elf_broken(name, "its program headers lie outside the file", err);
        if (p.p_type == PT_LOAD) {
            if (p.p_filesz > p.p_memsz || !range_ok(b, p.p_offset, p.p_filesz))
                return elf_broken(name, "a segment lies outside the file (is it cut off?)", err);
            if (p.p_memsz > UINT64_C(1) << 46 || info->memory + p.p_memsz > UINT64_C(1) << 46)
                return elf_broken(name, "a segment is larger than any address space", err);
            b->loads[b->load_count++] = p;
            info->memory += p.p_memsz;
        } else if (p.p_type == PT_INTERP) {
            const char *s = range_ok(b, p.p_offset, p.p_filesz) ? string_at(b, p.p_offset) : NULL;
            if (!s || s[0] != '/')
                return elf_broken(name, "the name of its loader is unreadable", err);
            free(info->interp);
            info->interp = alloc_string(s);
        } else if (p.p_type == PT_DYNAMIC) {
            dynamic = p;
        }
    }
    return dynamic.p_type != PT_DYNAMIC || dynamic_read(info, name, b, &dynamic, err);
}

static bool headers_read(struct elfinfo *info, const char *name, struct elf_bytes *b, Elf *elf,
                         struct err *err)
{
    GElf_Ehdr header;
    if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
        return elf_broken(name, "its header is cut off", err);
    info->is64 = header.e_ident[EI_CLASS] == ELFCLASS64;
    info->machine = header.e_machine;
    info->type = header.e_type;
    info->entry = header.e_entry;
    if (!info->is64 || info->machine != EM_X86_64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
        return true;
    size_t count;
    if (elf_getphdrnum(elf, &count) < 0 || count > ELFINFO_SEGMENTS)
        return elf_broken(name, "it claims too many program headers", err);
    if (header.e_phnum != PN_XNUM)
        count = header.e_phnum; /* libelf lowers it to what the file holds */
    if (count && (header.e_phentsize != sizeof(Elf64_Phdr) ||
                  !range_ok(b, header.e_phoff, count * sizeof(Elf64_Phdr))))
        return elf_broken(name, "its program headers lie outside the file", err);
    b->loads = alloc_array(NULL, count, sizeof *b->loads);
    bool ok = segments_read(info, name, b, elf, count, err);
    free(b->loads);
    return ok;
}

bool elfinfo_read(struct elfinfo *info, const char *name, const void *data, size_t size,
                  struct err *err)
{
    *info = (struct elfinfo){0};
    if (!elfinfo_magic(data, size))
        return err_set(err, OPS_EXIT_FAILED,
                       "`file` tells what it is; ops runs Linux x86-64 programs",
                       "%s is not an ELF program", name);
    if (size < sizeof(Elf32_Ehdr))
        return elf_broken(name, "its header is cut off", err);
    struct elf_bytes b = {.data = data, .size = size};
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory((char *)data, size); /* libelf only reads it */
    bool ok = elf ? headers_read(info, name, &b, elf, err) : elf_broken(name, elf_errmsg(-1), err);
    elf_end(elf);
    return ok;
}

bool elfinfo_load(struct elfinfo *info, const char *path, struct err *err)
{
    *info = (struct elfinfo){0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool ok = false;
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_errno(err, "open", path);
    } else if (S_ISDIR(st.st_mode)) {
        err_set(err, OPS_EXIT_FAILED, "give the program file inside it", "%s is a directory", path);
    } else if (!S_ISREG(st.st_mode)) {
        err_set(err, OPS_EXIT_FAILED, NULL, "%s is not a regular file", path);
    } else if (st.st_size == 0) {
        err_set(err, OPS_EXIT_FAILED, "build or copy it again", "%s is empty", path);
    } else {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            err_errno(err, "read", path);
        } else {
            ok = elfinfo_read(info, path, map, (size_t)st.st_size, err);
            munmap(map, (size_t)st.st_size);
        }
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

static const char *machine_name(unsigned machine)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {
        {EM_386, "32-bit x86 (i386)"}, {EM_AARCH64, "64-bit ARM (aarch64)"},
        {EM_ARM, "32-bit ARM"},        {EM_RISCV, "RISC-V"},
        {EM_PPC64, "64-bit PowerPC"},  {EM_PPC, "PowerPC"},
        {EM_S390, "IBM Z (s390)"},     {EM_MIPS, "MIPS"},
        {EM_SPARCV9, "64-bit SPARC"},  {EM_BPF, "BPF"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].machine == machine)
            return names[i].name;
    return NULL;
}

bool elfinfo_check_program(const struct elfinfo *info, const char *name, struct err *err)
{
    static const char rebuild[] = "build it for Linux on x86-64";
    if (info->machine != EM_X86_64) {
        const char *machine = machine_name(info->machine);
        if (!machine)
            return err_set(err, OPS_EXIT_FAILED, rebuild, "%s is for another machine (number %u)",
                           name, info->machine);
        return err_set(err, OPS_EXIT_FAILED, rebuild, "%s is for another machine: %s", name,
                       machine);
    }
    if (!info->is64)
        return err_set(err, OPS_EXIT_FAILED, "build it without -mx32 or -m32",
                       "%s is a 32-bit program", name);
    if (info->type == ET_REL)
        return err_set(err, OPS_EXIT_FAILED, "link it into a program first",
                       "%s is an object file, not a program", name);
    if (info->type == ET_CORE)
        return err_set(err, OPS_EXIT_FAILED, "give the program that left it",
                       "%s is a core dump, not a program", name);
    if ((info->type != ET_EXEC && info->type != ET_DYN) || info->memory == 0)
        return err_set(err, OPS_EXIT_FAILED, rebuild, "%s is not a program", name);
    if (info->entry == 0)
        return err_set(err, OPS_EXIT_FAILED, "give the program that uses it",
                       "%s is a library, not a program: it has no entry point", name);
    return true;
}

bool elfinfo_is_library(const struct elfinfo *info)
{
    return info->is64 && info->machine == EM_X86_64 && info->type == ET_DYN;
}

void elfinfo_free(struct elfinfo *info)
{
    free(info->interp);
    free(info->soname);
    free(info->rpath);
    free(info->runpath);
    strlist_free(&info->needed);
    *info = (struct elfinfo){0};
}
