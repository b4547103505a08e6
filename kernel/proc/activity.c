/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc files about what machine and process have done so far: interrupts, stat,
 * loadavg and io. Formats of proc(5); every counter is kept where the thing happens.
 */
#include <linux/errno.h>

#include "arch/x86_64/irq.h"
#include "arch/x86_64/trap.h"
#include "dev/blkdev.h"
#include "fs/procfs.h"
#include "proc/process.h"
#include "proc/procinfo.h"
#include "proc/task.h"
#include "sched/clock.h"
#include "sched/load.h"

#define NS_PER_TICK (NSEC_PER_SEC / 100)

/* Interrupts between CPUs and of CPUs themselves. */
static const struct {
    const char *name, *text;
    unsigned vector;
} own_lines[] = {
    {"LOC", "Local timer interrupts", VECTOR_TIMER},
    {"SPU", "Spurious interrupts", VECTOR_SPURIOUS},
    {"RES", "Rescheduling interrupts", VECTOR_RESCHED},
    {"TLB", "TLB shootdowns", VECTOR_TLB},
};

static void counts_of(struct seq *out, unsigned vector)
{
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        seq_printf(out, " %10u", irq_count(cpu, vector));
}

static int gen_interrupts(struct seq *out)
{
    struct irq_line line;
    seq_text(out, "    ");
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        seq_printf(out, "       CPU%-2u", cpu);
    seq_text(out, "\n");
    for (unsigned n = 0; irq_line(n, &line); n++) {
        seq_printf(out, "%3u:", line.number);
        counts_of(out, line.vector);
        seq_printf(out, "  %s  %u-%s     ", line.message ? "PCI-MSI" : "IO-APIC", line.number,
                   line.level ? "fasteoi" : "edge");
        for (unsigned i = 0; i < IRQ_SHARED && line.name[i]; i++)
            seq_printf(out, "%s%s", i ? ", " : " ", line.name[i]);
        seq_text(out, "\n");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(own_lines); i++) {
        seq_printf(out, "%s:", own_lines[i].name);
        counts_of(out, own_lines[i].vector);
        seq_printf(out, "   %s\n", own_lines[i].text);
    }
    return 0;
}

static uint64_t vector_sum(unsigned vector)
{
    uint64_t sum = 0;
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        sum += irq_count(cpu, vector);
    return sum;
}

/* All there were, then those of each numbered interrupt. */
static void stat_interrupts(struct seq *out)
{
    struct irq_line line;
    uint64_t sum = 0;
    unsigned numbers = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(own_lines); i++)
        sum += vector_sum(own_lines[i].vector);
    for (unsigned n = 0; irq_line(n, &line); n++) {
        sum += vector_sum(line.vector);
        numbers = MAX(numbers, line.number + 1);
    }
    seq_printf(out, "intr %lu", sum);
    for (unsigned number = 0; number < numbers; number++) {
        uint64_t count = 0;
        for (unsigned n = 0; irq_line(n, &line); n++)
            count += line.number == number ? vector_sum(line.vector) : 0;
        seq_printf(out, " %lu", count);
    }
    seq_text(out, "\n");
}

static int gen_stat(struct seq *out)
{
    uint64_t now = clock_now(), idle = 0;
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        idle += MIN(thread_idle_time(cpu), now);
    seq_printf(out, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n", (now * cpu_count() - idle) / NS_PER_TICK,
               idle / NS_PER_TICK);
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        idle = MIN(thread_idle_time(cpu), now);
        seq_printf(out, "cpu%u %lu 0 0 %lu 0 0 0 0 0 0\n", cpu, (now - idle) / NS_PER_TICK,
                   idle / NS_PER_TICK);
    }
    stat_interrupts(out);
    seq_printf(out, "ctxt %lu\nbtime %lu\nprocesses %d\nprocs_running %u\nprocs_blocked 0\n",
               thread_switches(), (clock_wall() - now) / NSEC_PER_SEC,
               process.next_tid - PROCESS_PID, process_running());
    return 0;
}

static int gen_loadavg(struct seq *out)
{
    uint64_t average[LOAD_AVERAGES];
    load_get(average);
    for (unsigned i = 0; i < LOAD_AVERAGES; i++) {
        uint64_t cents = (average[i] * 100 + (1u << (LOAD_SHIFT - 1))) >> LOAD_SHIFT;
        seq_printf(out, "%lu.%02lu ", cents / 100, cents % 100);
    }
    seq_printf(out, "%u/%u %d\n", process_running(), process.task_count, process.next_tid - 1);
    return 0;
}

/* What is written is counted when it goes to the device, so that nothing of it is ever cancelled.
 */
static int gen_io(struct seq *out)
{
    struct io_count io;
    process_io(&io);
    seq_printf(out, "rchar: %lu\nwchar: %lu\nsyscr: %lu\nsyscw: %lu\n", io.bytes_read,
               io.bytes_written, io.reads, io.writes);
    seq_printf(out, "read_bytes: %lu\nwrite_bytes: %lu\ncancelled_write_bytes: 0\n",
               blkdev_bytes(BIO_READ), blkdev_bytes(BIO_WRITE));
    return 0;
}

int activity_init(void)
{
    static const struct {
        const char *path;
        procfs_text_fn *fn;
    } files[] = {
        {"interrupts", gen_interrupts},
        {"stat", gen_stat},
        {"loadavg", gen_loadavg},
        {"self/io", gen_io},
    };
    int err = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(files) && !err; i++)
        err = procfs_register(files[i].path, files[i].fn);
    return err;
}
