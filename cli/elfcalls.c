/* SPDX-License-Identifier: Apache-2.0 */
/* System calls in an ELF file: see elfcalls.h. The table is made from the kernel's at build time.
 */
#include "elfcalls.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "hostpath.h"
#include "ops/exit.h"

#define LOOK_BACK 24 /* bytes before the instruction in which its number is set */

struct call {
    const char *name, *note; /* note NULL: the kernel does not know it */
};

static const struct call calls[ELFCALLS_MAX] = {
#include "syscall_support.inc"
};

const char *call_support(size_t number, enum call_state *state, const char **note)
{
    const struct call *c = number < ELFCALLS_MAX ? &calls[number] : NULL;
    if (!c || !c->name)
        return NULL;
    *note = c->note ? c->note : "";
    if (!c->note)
        *state = CALL_MISSING;
    else if (strncmp(c->note, "refused", 7) == 0 || strcmp(c->note, "EPERM") == 0)
        *state = CALL_REFUSED;
    else
        *state = *c->note ? CALL_PARTLY : CALL_WHOLE;
    return c->name;
}

bool elfcalls_is_libc(const char *name)
{
    static const char *const names[] = {"libc.so.", "libc-",      "ld-linux",
                                        "ld-musl-", "libpthread", "libc.musl-"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* The number that `mov $N, %eax` (b8), `mov $N, %rax` (48 c7 c0) or `xor %eax, %eax` sets in the
 * bytes before `at`; -1: none is in sight. The nearest counts. */
static long number_before(const unsigned char *code, size_t at)
{
    size_t least = at > LOOK_BACK ? at - LOOK_BACK : 0;
    for (size_t i = at; i-- > least;) {
        uint32_t value;
        bool wide = i >= 2 && code[i] == 0xc0 && code[i - 1] == 0xc7 && code[i - 2] == 0x48;
        if ((code[i] == 0xb8 || wide) && i + 5 <= at) {
            memcpy(&value, code + i + 1, sizeof value);
            if (value < ELFCALLS_MAX)
                return (long)value;
        }
        if (code[i] == 0x31 && i + 2 <= at && code[i + 1] == 0xc0)
            return 0;
    }
    return -1;
}

static void code_scan(struct elfcalls *c, const unsigned char *code, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (code[i] != 0x0f || code[i + 1] != 0x05)
            continue;
        long number = number_before(code, i);
        if (number >= 0)
            c->by_number[number] = true;
        else
            c->computed++;
    }
}

static void segments_scan(struct elfcalls *c, Elf *elf)
{
    size_t count, size;
    const char *bytes = elf_rawfile(elf, &size);
    if (!bytes || elf_getphdrnum(elf, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (gelf_getphdr(elf, (int)i, &p) && p.p_type == PT_LOAD && (p.p_flags & PF_X) &&
            p.p_offset <= size && p.p_filesz <= size - p.p_offset)
            code_scan(c, (const unsigned char *)bytes + p.p_offset, p.p_filesz);
    }
}

static void name_note(struct elfcalls *c, const char *name)
{
    for (size_t n = 0; n < ELFCALLS_MAX; n++)
        if (calls[n].name && strcmp(calls[n].name, name) == 0)
            c->by_name[n] = true;
}

/* Functions it takes from others. syslog(3) is not the call of that name. */
static void imports_scan(struct elfcalls *c, Elf *elf)
{
    Elf_Scn *section = NULL;
    GElf_Shdr head;
    while ((section = elf_nextscn(elf, section))) {
        if (!gelf_getshdr(section, &head) || head.sh_type != SHT_DYNSYM || !head.sh_entsize)
            continue;
        Elf_Data *data = elf_getdata(section, NULL);
        for (size_t i = 0; data && i < head.sh_size / head.sh_entsize; i++) {
            GElf_Sym symbol;
            if (!gelf_getsym(data, (int)i, &symbol) || symbol.st_shndx != SHN_UNDEF)
                continue;
            const char *name = elf_strptr(elf, head.sh_link, symbol.st_name);
            if (name && *name && strcmp(name, "syslog") != 0)
                name_note(c, name);
        }
    }
}

bool elfcalls_read(struct elfcalls *c, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open", path);
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    bool ok = elf && elf_kind(elf) == ELF_K_ELF;
    if (ok) {
        segments_scan(c, elf);
        imports_scan(c, elf);
    } else {
        err_set(err, OPS_EXIT_FAILED, NULL, "%s is not a usable ELF file", path);
    }
    if (elf)
        elf_end(elf);
    close(fd);
    return ok;
}
