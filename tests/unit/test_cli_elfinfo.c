/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files made by hand, good and hostile. ASan and UBSan watch the reads. */
#include "cli_test.h"

#include <elf.h>

#include "elfinfo.h"
#include "ops/exit.h"

#define IMAGE_SIZE 4096
#define BASE       0x400000u
#define DYNAMIC    0x400
#define STRINGS    0x600

/* A small dynamic program; tests change it before it is read. */
struct image {
    union {
        unsigned char bytes[IMAGE_SIZE];
        Elf64_Ehdr header;
    };
};

static Elf64_Phdr *phdr(struct image *m, size_t i)
{
    return (Elf64_Phdr *)(void *)(m->bytes + sizeof(Elf64_Ehdr)) + i;
}

static Elf64_Dyn *dyn(struct image *m, size_t i)
{
    return (Elf64_Dyn *)(void *)(m->bytes + DYNAMIC) + i;
}

static struct image *image_make(void)
{
    struct image *m = calloc(1, sizeof *m);
    Elf64_Ehdr *h = &m->header;
    memcpy(h->e_ident, ELFMAG, SELFMAG);
    h->e_ident[EI_CLASS] = ELFCLASS64;
    h->e_ident[EI_DATA] = ELFDATA2LSB;
    h->e_ident[EI_VERSION] = h->e_version = EV_CURRENT;
    h->e_type = ET_DYN;
    h->e_machine = EM_X86_64;
    h->e_entry = BASE + 0x800;
    h->e_phoff = sizeof *h;
    h->e_ehsize = sizeof *h;
    h->e_phentsize = sizeof(Elf64_Phdr);
    h->e_phnum = 3;
    *phdr(m, 0) = (Elf64_Phdr){
        .p_type = PT_LOAD, .p_vaddr = BASE, .p_filesz = IMAGE_SIZE, .p_memsz = 2 * IMAGE_SIZE};
    *phdr(m, 1) = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = STRINGS + 1, .p_filesz = 7};
    *phdr(m, 2) = (Elf64_Phdr){.p_type = PT_DYNAMIC,
                               .p_offset = DYNAMIC,
                               .p_vaddr = BASE + DYNAMIC,
                               .p_filesz = 6 * sizeof(Elf64_Dyn)};
    memcpy(m->bytes + STRINGS, "\0/lib/ld\0libone.so.1\0libtwo.so\0$ORIGIN/x\0self.so", 49);
    const Elf64_Dyn entries[] = {{DT_NEEDED, {9}},  {DT_STRTAB, {BASE + STRINGS}},
                                 {DT_NEEDED, {21}}, {DT_RUNPATH, {31}},
                                 {DT_SONAME, {41}}, {DT_NULL, {0}}};
    memcpy(m->bytes + DYNAMIC, entries, sizeof entries);
    return m;
}

static void read_ok(const struct image *m, struct elfinfo *info)
{
    struct err err = {0};
    assert_true(elfinfo_read(info, "app", m, sizeof *m, &err));
}

static void read_bad(struct image *m, size_t size, const char *text)
{
    struct elfinfo info;
    struct err err = {0};
    void *exact = malloc(size ? size : 1); /* ASan guards its end */
    memcpy(exact, m, size);
    assert_false(elfinfo_read(&info, "app", exact, size, &err));
    assert_err(&err, OPS_EXIT_FAILED, text);
    elfinfo_free(&info);
    free(exact);
    free(m);
}

static void test_good(void **state)
{
    (void)state;
    struct image *m = image_make();
    struct elfinfo info;
    struct err err = {0};
    read_ok(m, &info);
    assert_string_equal(info.interp, "/lib/ld");
    assert_int_equal(info.needed.count, 2);
    assert_string_equal(info.needed.items[0], "libone.so.1");
    assert_string_equal(info.needed.items[1], "libtwo.so");
    assert_string_equal(info.runpath, "$ORIGIN/x");
    assert_null(info.rpath);
    assert_string_equal(info.soname, "self.so");
    assert_int_equal(info.memory, 2 * IMAGE_SIZE);
    assert_true(elfinfo_check_program(&info, "app", &err));
    assert_true(elfinfo_is_library(&info));
    elfinfo_free(&info);
    free(m);
}

static void test_not_elf(void **state)
{
    (void)state;
    struct image *m = image_make();
    m->bytes[0] = 'x';
    read_bad(m, IMAGE_SIZE, "is not an ELF program");
    read_bad(image_make(), 0, "is not an ELF program");
    read_bad(image_make(), 3, "is not an ELF program");
}

static void test_every_truncation(void **state)
{
    (void)state;
    for (size_t size = 4; size < IMAGE_SIZE; size += 13)
        read_bad(image_make(), size, "is not a usable ELF file");
}

static void test_many_headers(void **state)
{
    (void)state;
    struct image *m = image_make();
    m->header.e_phnum = 0xfffe;
    read_bad(m, IMAGE_SIZE, "program headers");
    m = image_make();
    m->header.e_phnum = PN_XNUM; /* the count would be in section 0, which is not there */
    read_bad(m, IMAGE_SIZE, "program headers");
    m = image_make();
    m->header.e_phoff = UINT64_MAX - 8;
    read_bad(m, IMAGE_SIZE, "program headers");
    m = image_make();
    m->header.e_phentsize = 1;
    read_bad(m, IMAGE_SIZE, "program headers");
}

static void test_hostile_sections(void **state)
{
    (void)state;
    struct image *m = image_make();
    struct elfinfo info;
    m->header.e_shoff = UINT64_MAX; /* never looked at */
    m->header.e_shnum = 0xffff;
    m->header.e_shstrndx = 0x1234;
    struct err err = {0};
    if (!elfinfo_read(&info, "app", m, sizeof *m, &err))
        err_free(&err);
    elfinfo_free(&info);
    free(m);
}

static void test_hostile_segments(void **state)
{
    (void)state;
    struct image *m = image_make();
    phdr(m, 0)->p_filesz = UINT64_MAX;
    phdr(m, 0)->p_memsz = UINT64_MAX;
    read_bad(m, IMAGE_SIZE, "outside the file");
    m = image_make();
    phdr(m, 0)->p_offset = UINT64_MAX - 10;
    phdr(m, 0)->p_filesz = 100; /* offset + size wraps */
    read_bad(m, IMAGE_SIZE, "outside the file");
    m = image_make();
    phdr(m, 0)->p_memsz = 1; /* less than in the file */
    read_bad(m, IMAGE_SIZE, "outside the file");
    m = image_make();
    phdr(m, 0)->p_memsz = UINT64_MAX;
    read_bad(m, IMAGE_SIZE, "address space");
}

static void test_hostile_interp(void **state)
{
    (void)state;
    struct image *m = image_make();
    phdr(m, 1)->p_offset = UINT64_MAX;
    read_bad(m, IMAGE_SIZE, "loader");
    m = image_make();
    memset(m->bytes + 0xf00, 'x', 0x100); /* no NUL before the file ends */
    phdr(m, 1)->p_offset = 0xf00;
    read_bad(m, IMAGE_SIZE, "loader");
    m = image_make();
    phdr(m, 1)->p_offset = STRINGS; /* an empty name */
    read_bad(m, IMAGE_SIZE, "loader");
}

static void test_hostile_dynamic(void **state)
{
    (void)state;
    struct image *m = image_make();
    phdr(m, 2)->p_offset = IMAGE_SIZE - 8;
    phdr(m, 2)->p_filesz = 64;
    read_bad(m, IMAGE_SIZE, "dynamic section lies outside");
    m = image_make();
    dyn(m, 0)->d_un.d_val = IMAGE_SIZE;
    read_bad(m, IMAGE_SIZE, "name in its dynamic section");
    m = image_make();
    dyn(m, 0)->d_un.d_val = UINT64_MAX - 3;
    read_bad(m, IMAGE_SIZE, "name in its dynamic section");
    m = image_make();
    memset(m->bytes + 0xf00, 'x', 0x100);
    dyn(m, 3)->d_un.d_val = 0xf00 - STRINGS;
    read_bad(m, IMAGE_SIZE, "name in its dynamic section");
}

static void test_no_string_table(void **state)
{
    (void)state;
    struct image *m = image_make();
    struct elfinfo info;
    dyn(m, 1)->d_un.d_ptr = 0x10; /* in no segment */
    read_ok(m, &info);
    assert_int_equal(info.needed.count, 0);
    elfinfo_free(&info);
    free(m);
}

static void test_too_many_needed(void **state)
{
    (void)state;
    size_t count = 10000, size = IMAGE_SIZE + count * sizeof(Elf64_Dyn);
    struct image *m = image_make();
    unsigned char *big = calloc(1, size);
    struct elfinfo info;
    struct err err = {0};
    phdr(m, 2)->p_offset = IMAGE_SIZE;
    phdr(m, 2)->p_filesz = count * sizeof(Elf64_Dyn);
    memcpy(big, m, IMAGE_SIZE);
    Elf64_Dyn *d = (Elf64_Dyn *)(void *)(big + IMAGE_SIZE);
    d[0] = (Elf64_Dyn){DT_STRTAB, {BASE + STRINGS}};
    for (size_t i = 1; i < count; i++)
        d[i] = (Elf64_Dyn){DT_NEEDED, {9}};
    assert_false(elfinfo_read(&info, "app", big, size, &err));
    assert_err(&err, OPS_EXIT_FAILED, "dynamic section");
    elfinfo_free(&info);
    free(big);
    free(m);
}

static void check_refused(struct image *m, const char *text)
{
    struct elfinfo info;
    struct err err = {0};
    read_ok(m, &info);
    assert_false(elfinfo_check_program(&info, "app", &err));
    assert_err(&err, OPS_EXIT_FAILED, text);
    elfinfo_free(&info);
    free(m);
}

static void test_not_for_us(void **state)
{
    (void)state;
    struct image *m = image_make();
    m->header.e_machine = EM_AARCH64;
    check_refused(m, "64-bit ARM");
    m = image_make();
    m->header.e_machine = 9999;
    check_refused(m, "number 9999");
    m = image_make();
    m->header.e_type = ET_REL;
    check_refused(m, "object file");
    m = image_make();
    m->header.e_type = ET_CORE;
    check_refused(m, "core dump");
    m = image_make();
    m->header.e_entry = 0;
    check_refused(m, "no entry point");
    m = image_make();
    phdr(m, 0)->p_type = PT_NOTE;
    m->header.e_phnum = 1;
    check_refused(m, "not a program");
}

static void test_real_files(void **state)
{
    (void)state;
    struct elfinfo info;
    struct err err = {0};
    assert_true(elfinfo_load(&info, "/proc/self/exe", &err));
    assert_non_null(info.interp);
    assert_true(info.needed.count > 0);
    elfinfo_free(&info);
    assert_false(elfinfo_load(&info, "/nonexistent", &err));
    assert_err(&err, OPS_EXIT_FAILED, "cannot open /nonexistent");
    assert_false(elfinfo_load(&info, "/", &err));
    assert_err(&err, OPS_EXIT_FAILED, "is a directory");
    assert_false(elfinfo_load(&info, "/dev/zero", &err));
    assert_err(&err, OPS_EXIT_FAILED, "not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_not_elf),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_many_headers),
        cmocka_unit_test(test_hostile_sections),
        cmocka_unit_test(test_hostile_segments),
        cmocka_unit_test(test_hostile_interp),
        cmocka_unit_test(test_hostile_dynamic),
        cmocka_unit_test(test_no_string_table),
        cmocka_unit_test(test_too_many_needed),
        cmocka_unit_test(test_not_for_us),
        cmocka_unit_test(test_real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
