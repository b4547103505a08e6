/* SPDX-License-Identifier: Apache-2.0 */
/* Symbol look-up with libelf: see symbols.h. */
#include "symbols.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

/* Address the file's byte is linked at; false if no segment loads it. */
static bool address_of(Elf *elf, uint64_t offset, uint64_t *address)
{
    size_t count;
    GElf_Phdr p;
    if (elf_getphdrnum(elf, &count) != 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (gelf_getphdr(elf, (int)i, &p) && p.p_type == PT_LOAD && offset >= p.p_offset &&
            offset - p.p_offset < p.p_filesz) {
            *address = p.p_vaddr + (offset - p.p_offset);
            return true;
        }
    return false;
}

/* The best function of one symbol table; *best is the name found so far. */
static void table_search(Elf *elf, Elf_Scn *section, uint64_t address, uint64_t *start,
                         const char **best)
{
    GElf_Shdr header;
    GElf_Sym symbol;
    Elf_Data *data = elf_getdata(section, NULL);
    if (!gelf_getshdr(section, &header) || !data || !header.sh_entsize)
        return;
    for (size_t i = 0; i < header.sh_size / header.sh_entsize; i++) {
        if (!gelf_getsym(data, (int)i, &symbol) || symbol.st_shndx == SHN_UNDEF)
            continue;
        int type = GELF_ST_TYPE(symbol.st_info);
        uint64_t size = symbol.st_size ? symbol.st_size : 1;
        if ((type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC) ||
            symbol.st_value > address || address - symbol.st_value >= size)
            continue;
        const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);
        if (name && *name && (!*best || symbol.st_value > *start)) {
            *best = name;
            *start = symbol.st_value;
        }
    }
}

char *symbols_find(const char *path, uint64_t offset, uint64_t *into)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    elf_version(EV_CURRENT);
    Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
    uint64_t address, start = 0;
    const char *best = NULL;
    if (elf && elf_kind(elf) == ELF_K_ELF && address_of(elf, offset, &address)) {
        GElf_Shdr header;
        for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));)
            if (gelf_getshdr(s, &header) &&
                (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM))
                table_search(elf, s, address, &start, &best);
        *into = address - start;
    }
    char *name = best ? alloc_string(best) : NULL;
    elf_end(elf);
    if (fd >= 0)
        close(fd);
    return name;
}
