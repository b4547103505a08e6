/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processors as text: /proc/cpuinfo, /proc/stat, and /sys/devices/system/cpu. Texts
 * of the latter that differ by CPU are made once, after the CPUs have started.
 */
#include <linux/errno.h>

#include "arch/x86_64/features.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/percpu.h"
#include "fs/procfs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "proc/procinfo.h"
#include "sched/clock.h"

#define CPU_DIR "/sys/devices/system/cpu"

static void cpu_brand(char out[49])
{
    uint32_t r[4];
    memset(out, 0, 49);
    for (unsigned i = 0; i < 3; i++) {
        cpu_cpuid(0x80000002 + i, 0, r);
        memcpy(out + 16 * i, r, 16);
    }
}

struct cpu_flag {
    uint32_t leaf;
    uint8_t reg, bit;
    const char *name;
};

/* What programs look for in the flags line; CPUID leaf, register, bit. */
static const struct cpu_flag cpu_flags[] = {
    {1, 3, 0, "fpu"},          {1, 3, 4, "tsc"},
    {1, 3, 8, "cx8"},          {1, 3, 15, "cmov"},
    {1, 3, 19, "clflush"},     {1, 3, 23, "mmx"},
    {1, 3, 24, "fxsr"},        {1, 3, 25, "sse"},
    {1, 3, 26, "sse2"},        {1, 3, 28, "ht"},
    {1, 2, 0, "pni"},          {1, 2, 1, "pclmulqdq"},
    {1, 2, 9, "ssse3"},        {1, 2, 12, "fma"},
    {1, 2, 13, "cx16"},        {1, 2, 19, "sse4_1"},
    {1, 2, 20, "sse4_2"},      {1, 2, 22, "movbe"},
    {1, 2, 23, "popcnt"},      {1, 2, 25, "aes"},
    {1, 2, 26, "xsave"},       {1, 2, 28, "avx"},
    {1, 2, 29, "f16c"},        {1, 2, 30, "rdrand"},
    {1, 2, 31, "hypervisor"},  {7, 1, 0, "fsgsbase"},
    {7, 1, 3, "bmi1"},         {7, 1, 5, "avx2"},
    {7, 1, 8, "bmi2"},         {7, 1, 9, "erms"},
    {7, 1, 16, "avx512f"},     {7, 1, 18, "rdseed"},
    {7, 1, 19, "adx"},         {7, 1, 29, "sha_ni"},
    {0x80000001, 2, 5, "abm"}, {0x80000001, 3, 11, "syscall"},
    {0x80000001, 3, 20, "nx"}, {0x80000001, 3, 27, "rdtscp"},
    {0x80000001, 3, 29, "lm"}, {0x80000001, 2, 0, "lahf_lm"},
};

static int gen_cpuinfo(struct seq *out)
{
    uint32_t id[4], v[4], r[4];
    char vendor[13] = "", brand[49];
    cpu_cpuid(0, 0, v);
    memcpy(vendor, &v[1], 4);
    memcpy(vendor + 4, &v[3], 4);
    memcpy(vendor + 8, &v[2], 4);
    cpu_cpuid(1, 0, id);
    cpu_brand(brand);
    unsigned family = (id[0] >> 8 & 15) + (id[0] >> 20 & 255);
    unsigned model = (id[0] >> 4 & 15) | (id[0] >> 12 & 0xf0);
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        seq_printf(out, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", cpu,
                   vendor, family, model);
        seq_printf(out, "model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %lu.%03lu\n", brand,
                   id[0] & 15, clock_tsc_hz() / 1000000, clock_tsc_hz() / 1000 % 1000);
        seq_printf(out,
                   "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\nflags\t\t:",
                   cpu_count(), cpu, cpu_count());
        for (unsigned i = 0; i < ARRAY_SIZE(cpu_flags); i++) {
            cpu_cpuid(cpu_flags[i].leaf, 0, r);
            if (r[cpu_flags[i].reg] >> cpu_flags[i].bit & 1)
                seq_printf(out, " %s", cpu_flags[i].name);
        }
        seq_printf(out, "\nclflush size\t: 64\ncache_alignment\t: 64\n\n");
    }
    return 0;
}

/* "0" or "0-3". */
static int gen_cpu_list(struct seq *out)
{
    seq_printf(out, cpu_count() > 1 ? "0-%u\n" : "%u\n", cpu_count() - 1);
    return 0;
}

static int gen_none(struct seq *out)
{
    seq_text(out, "\n");
    return 0;
}

/* A file of one CPU's directory. */
static int cpu_file(unsigned cpu, const char *name, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, CPU_DIR "/cpu%u/%s", cpu, name);
    char *copy = kstrdup(text);
    return copy ? procfs_register_const(path, copy) : -ENOMEM;
}

/* Every CPU is a core of one package. */
static int cpu_topology(unsigned cpu)
{
    char id[16], mask[24], list[16], all[24];
    snprintf(id, sizeof id, "%u\n", cpu);
    snprintf(list, sizeof list, "%u\n", cpu);
    snprintf(mask, sizeof mask, "%lx\n", 1ul << cpu);
    snprintf(all, sizeof all, "%lx\n", cpu_count() == CPU_MAX ? ~0ul : (1ul << cpu_count()) - 1);
    const struct {
        const char *name, *text;
    } files[] = {
        {"online", "1\n"},
        {"topology/core_id", id},
        {"topology/physical_package_id", "0\n"},
        {"topology/thread_siblings", mask},
        {"topology/thread_siblings_list", list},
        {"topology/core_cpus", mask},
        {"topology/core_cpus_list", list},
        {"topology/core_siblings", all},
        {"topology/package_cpus", all},
    };
    int err = 0;
    for (unsigned i = cpu ? 0 : 1; i < ARRAY_SIZE(files) && !err; i++) /* CPU 0 cannot go */
        err = cpu_file(cpu, files[i].name, files[i].text);
    return err;
}

int cpuinfo_init(void)
{
    static const struct {
        const char *path;
        procfs_text_fn *fn;
    } files[] = {
        {"cpuinfo", gen_cpuinfo},
        {CPU_DIR "/online", gen_cpu_list},
        {CPU_DIR "/possible", gen_cpu_list},
        {CPU_DIR "/present", gen_cpu_list},
        {CPU_DIR "/offline", gen_none},
        {CPU_DIR "/isolated", gen_none},
        {"/sys/devices/system/node/node0/cpulist", gen_cpu_list},
    };
    int err = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(files) && !err; i++)
        err = procfs_register(files[i].path, files[i].fn);
    for (unsigned cpu = 0; cpu < cpu_count() && !err; cpu++)
        err = cpu_topology(cpu);
    return err;
}
