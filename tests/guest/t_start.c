/* SPDX-License-Identifier: Apache-2.0 */
/* What a program finds at its start: argv, environment, auxiliary vector, stack, FPU control. */
#include "guest.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>

extern char **environ;
extern char __ehdr_start[], _start[], etext[];

static char **the_argv;
static int the_argc;
static unsigned short first_x87;
static unsigned first_mxcsr;

/* Runs before main with main's arguments (glibc). */
__attribute__((constructor)) static void keep(int argc, char **argv)
{
    the_argc = argc;
    the_argv = argv;
    __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(first_x87), "=m"(first_mxcsr));
}

/* From the vector itself: glibc's getauxval() has its own idea of some entries. */
static unsigned long aux_value(unsigned long type)
{
    char **p = environ;
    while (*p)
        p++;
    const ElfW(auxv_t) *aux = (const void *)(p + 1);
    while (aux->a_type != AT_NULL && aux->a_type != type)
        aux++;
    return aux->a_un.a_val;
}

TEST(argument_block)
{
    CHECK(the_argc >= 1 && the_argv[0] && the_argv[the_argc] == NULL);
    CHECK(environ == the_argv + the_argc + 1);
    char **p = environ;
    while (*p)
        p++;
    const ElfW(auxv_t) *aux = (const void *)(p + 1);
    unsigned n = 0, pagesize = 0;
    for (; aux->a_type != AT_NULL && n < 64; aux++, n++)
        pagesize += aux->a_type == AT_PAGESZ && aux->a_un.a_val == 4096;
    CHECK(n > 10 && n < 64 && pagesize == 1);
    CHECK(*((long *)the_argv - 1) == the_argc);
    CHECK(((uintptr_t)the_argv - 8) % 16 == 0); /* where rsp pointed at the entry */
}

TEST(strings_on_stack)
{
    uintptr_t top = (uintptr_t)the_argv;
    CHECK((uintptr_t)the_argv[0] > top && (uintptr_t)the_argv[0] < top + (1 << 20));
    CHECK(getenv("GUEST_DATA") != NULL && (uintptr_t)getenv("GUEST_DATA") > top);
}

TEST(auxiliary_vector)
{
    CHECK(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_CLKTCK) == 100);
    CHECK(getauxval(AT_PHENT) == sizeof(ElfW(Phdr)) && getauxval(AT_PHNUM) > 2);
    CHECK(getauxval(AT_ENTRY) == (unsigned long)_start);
    CHECK(getauxval(AT_RANDOM) && getauxval(AT_SECURE) == 0);
    CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
    CHECK(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
    CHECK(!strcmp((const char *)getauxval(AT_PLATFORM), "x86_64"));
    CHECK(getauxval(AT_MINSIGSTKSZ) >= 1024);
    unsigned a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    CHECK(aux_value(AT_HWCAP) == d);
}

TEST(program_headers)
{
    const ElfW(Phdr) *ph = (const void *)getauxval(AT_PHDR);
    const ElfW(Ehdr) *eh = (const void *)__ehdr_start;
    CHECK((const char *)ph == __ehdr_start + eh->e_phoff && getauxval(AT_PHNUM) == eh->e_phnum);
    unsigned loads = 0;
    for (unsigned i = 0; i < eh->e_phnum; i++)
        loads += ph[i].p_type == PT_LOAD;
    CHECK(loads >= 2);
}

TEST(execfn_names_the_file)
{
    const char *name = (const char *)getauxval(AT_EXECFN);
    CHECK(name && strstr(name, "t_start"));
    CHECK(access(name, R_OK) == 0);
}

static const ElfW(Sym) * vdso_symbol(const char *name)
{
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
    const ElfW(Ehdr) *eh = (const void *)base;
    const ElfW(Phdr) *ph = (const void *)(base + eh->e_phoff);
    const ElfW(Dyn) *dyn = NULL;
    for (unsigned i = 0; i < eh->e_phnum; i++)
        if (ph[i].p_type == PT_DYNAMIC)
            dyn = (const void *)(base + ph[i].p_offset);
    const ElfW(Sym) *sym = NULL;
    const char *str = NULL;
    const uint32_t *hash = NULL;
    for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
        if (dyn->d_tag == DT_SYMTAB)
            sym = (const void *)(base + dyn->d_un.d_ptr);
        if (dyn->d_tag == DT_STRTAB)
            str = base + dyn->d_un.d_ptr;
        if (dyn->d_tag == DT_HASH)
            hash = (const void *)(base + dyn->d_un.d_ptr);
    }
    for (uint32_t i = 0; sym && str && hash && i < hash[1]; i++)
        if (!strcmp(str + sym[i].st_name, name))
            return &sym[i];
    return NULL;
}

TEST(vdso)
{
    static const char *const names[] = {"__vdso_clock_gettime", "__vdso_gettimeofday",
                                        "__vdso_time", "__vdso_getcpu", "__vdso_clock_getres"};
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
    CHECK(base && !memcmp(base, ELFMAG, SELFMAG));
    for (unsigned i = 0; i < COUNT(names); i++)
        CHECK(vdso_symbol(names[i]));
    struct timespec t = {0, 0};
    int (*get)(clockid_t, struct timespec *);
    const char *code = base + vdso_symbol("__vdso_clock_gettime")->st_value;
    memcpy(&get, &code, sizeof get);
    CHECK(get(CLOCK_MONOTONIC, &t) == 0 && (t.tv_sec || t.tv_nsec));
}

TEST(fpu_control)
{
    CHECK(first_x87 == 0x37f && first_mxcsr == 0x1f80);
}

static int recurse(int n)
{
    volatile char frame[4096];
    frame[0] = (char)n;
    return n ? recurse(n - 1) + frame[0] - (char)n : 0;
}

TEST(stack_grows)
{
    CHECK(recurse(1500) == 0); /* 6 MiB of the 8 */
}

TEST(sections)
{
    static char bss[100000];
    static int data[3] = {1, 2, 3};
    for (unsigned i = 0; i < sizeof bss; i++)
        CHECK(bss[i] == 0);
    CHECK(data[2] == 3 && ++data[0] == 2);
}
