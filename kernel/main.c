/* SPDX-License-Identifier: Apache-2.0 */
/* The boot sequence: one commented call a line. */
#include <linux/errno.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/boot.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/setup.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/upcalls.h"
#include "core/log.h"
#include "core/manifest.h"
#include "core/panic.h"
#include "core/phase.h"
#include "core/random.h"
#include "dev/acpi.h"
#include "dev/crashlog.h"
#include "dev/device.h"
#include "dev/power.h"
#include "dev/power_button.h"
#include "dev/ramdisk.h"
#include "dev/serial.h"
#include "dev/topology.h"
#include "dev/vga.h"
#include "dev/wallclock.h"
#include "fs/mount.h"
#include "fs/procfs.h"
#include "fs/share.h"
#include "fs/volume.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "net/interface.h"
#include "net/ntp.h"
#include "net/procnet.h"
#include "ops/control.h"
#include "proc/attend.h"
#include "proc/control.h"
#include "proc/exec.h"
#include "proc/exit.h"
#include "proc/metadata.h"
#include "proc/process.h"
#include "proc/procinfo.h"
#include "proc/signal.h"
#include "sched/clock.h"
#include "sched/thread.h"
#include "sched/timer.h"
#include "syscall/dispatch.h"

#define LOW_MEMORY  0x10000 /* below: the firmware's and the trampoline */
#define BOOT_MAPPED (4ull << 30)

extern const uint8_t kernel_start[], kernel_end[];
extern uintptr_t __stack_chk_guard;

static struct manifest manifest;

/* Adds a usable range without what is in use: low memory, the kernel, the modules. */
static void memory_add(paddr_t start, paddr_t end, unsigned skip)
{
    const struct boot_range used[] = {
        {0, LOW_MEMORY},     {virt_to_phys(kernel_start), virt_to_phys(kernel_end)},
        boot_info.module[0], boot_info.module[1],
        boot_info.module[2], boot_info.module[3],
    };
    while (skip < ARRAY_SIZE(used) && (used[skip].end <= start || used[skip].start >= end))
        skip++;
    if (skip == ARRAY_SIZE(used)) {
        page_add_range(start, end);
        return;
    }
    if (used[skip].start > start)
        memory_add(start, used[skip].start & PAGE_MASK, skip + 1);
    if (used[skip].end < end)
        memory_add(ALIGN_UP(used[skip].end, PAGE_SIZE), end, skip + 1);
}

static void memory_init(bool mapped)
{
    for (unsigned i = 0; i < boot_info.range_count; i++) {
        struct boot_range r = boot_info.range[i];
        if (!mapped && r.start < BOOT_MAPPED)
            memory_add(r.start, MIN(r.end, BOOT_MAPPED), 0);
        else if (mapped && r.end > BOOT_MAPPED)
            memory_add(MAX(r.start, BOOT_MAPPED), r.end, 0);
    }
}

static void manifest_load(void)
{
    unsigned line;
    const char *why = "no manifest: was the kernel started without a boot module?";
    int err = -EINVAL;
    if (boot_info.module_count) {
        struct boot_range *m = &boot_info.module[0];
        char *text = phys_to_virt(m->start);
        size_t n = strnlen(text, m->end - m->start);
        err = manifest_parse(&manifest, text, n, kmalloc, &line, &why);
        m->start = MIN(m->end, m->start + ALIGN_UP(n + 1, OPS_MANIFEST_ALIGN)); /* a disk? */
    }
    if (err)
        panic("manifest, line %u: %s", line, err == -ENOMEM ? "out of memory" : why);
    enum log_level level;
    if (log_level_parse(manifest.log, &level))
        panic("manifest: `log` must be debug, info, warn or error");
    log_set_level(level);
}

/* What the loader brought besides the manifest. */
static void ramdisks_register(void)
{
    for (unsigned i = 0; i < boot_info.module_count; i++) {
        struct boot_range m = boot_info.module[i];
        if (ramdisk_register(m.start, m.end - m.start))
            log_error("no memory for the disk of boot module %u", i);
    }
}

static void entropy_init(void)
{
    uint64_t v = cpu_tsc();
    random_seed(&v, sizeof v, 0);
    for (int i = 0; i < 4 && cpu_random(&v); i++)
        random_seed(&v, sizeof v, 64);
}

static struct kvmclock kvmclock;

static void wall_clock_init(void)
{
    uint64_t ns, seconds;
    if (!kvmclock_init(&kvmclock) && !kvmclock_wall(&ns))
        clock_set_wall(ns);
    else if (!rtc_read(&seconds))
        clock_set_wall(seconds * NSEC_PER_SEC);
    else
        log_warn("no wall clock: time starts in 1970");
}

/* Late, so that the two readings it compares lie far apart; timers wait for it. */
static void clock_rate_init(void)
{
    if (kvmclock.tsc_hz)
        log_info("clock: kvmclock, %s",
                 kvmclock.stable ? "the same TSC on all CPUs" : "a TSC for each CPU");
    clock_calibrate(kvmclock.tsc_hz);
    if (kvmclock.tsc_hz && !kvmclock.stable)
        clock_set_source(kvmclock_now);
    timer_restart();
}

static void cpus_start(void)
{
    uint32_t ids[CPU_MAX];
    unsigned count = cpu_apic_ids(ids, CPU_MAX, lapic_id(), BOOT_MAPPED);
    if (count > 1)
        log_info("%u of %u CPUs run", smp_start(ids, count), count);
}

static void interrupts_init(void)
{
    paddr_t address;
    unsigned gsi_base;
    for (unsigned n = 0; ioapic_nth(n, &address, &gsi_base); n++)
        if (ioapic_add(address, gsi_base))
            log_warn("IO-APIC at %#lx is left out", address);
}

/* The program does not start without a volume it was promised. */
static void volumes_mount(void)
{
    const char *why;
    for (unsigned i = 0; i < manifest.mount.count; i++) {
        int err = volume_mount(manifest.mount.item[i], 0, &why);
        if (err) {
            log_error("cannot mount volume %s: %s (error %d)", manifest.mount.item[i], why, -err);
            process_exit(127);
        }
    }
}

/* Nor without a directory of the host. */
static void shares_mount(void)
{
    const char *why;
    for (unsigned i = 0; i < manifest.share.count; i++) {
        int err = share_mount(manifest.share.item[i], (uint32_t)manifest.uid, &why);
        if (err) {
            log_error("cannot mount share %s: %s (error %d)", manifest.share.item[i], why, -err);
            process_exit(127);
        }
    }
}

/* Nor without what it needs to know of its cloud. */
static void cloud_ask(void)
{
    if (!metadata_take(&manifest))
        process_exit(127);
}

/* For `ops run --boot-chart`. */
static void phases_tell(void)
{
    char text[48];
    for (enum phase p = 0; p < PHASE_COUNT; p++) {
        snprintf(text, sizeof text, "%s %lu", phase_name(p), phase_ns(p, clock_tsc_hz()));
        control_send("phase", text);
    }
}

static void terminate(void)
{
    signal_kernel(SIGTERM);
}

static const struct attend_tracer tracer = {trace_start, trace_stop, syscall_counts};

static void kernel_init(void *arg)
{
    (void)arg;
    interrupts_init();   /* the IO-APICs */
    ramdisks_register(); /* disks that came as boot modules */
    device_probe_all();  /* devices on mmio or PCI */
    crashlog_init();     /* where a bad end is told to who looks at the disk later */
    wall_clock_init();   /* time of day */
    if (!random_ready())
        panic("no entropy: the machine has neither virtio-rng nor RDRAND");
    phase_mark(PHASE_DEVICES);
    __stack_chk_guard = random_u64() << 8;
    if (procinfo_init()) /* files of /proc */
        panic("no memory for /proc");
    if (procnet_init()) /* and of /proc/net */
        panic("no memory for /proc/net");
    int err =
        fs_init(manifest.root, manifest.readonly_rootfs); /* ext4 root, tmpfs, devfs, procfs */
    if (err)
        panic("no root filesystem labelled %s (error %d)", manifest.root, -err);
    phase_mark(PHASE_ROOT);
    if (process_init(&manifest)) /* descriptor table, limits, ids */
        panic("no memory for the process");
    interface_configure(&manifest.interface);
    ntp_configure(&manifest);
    procfs_set_process(process.fds, process.fs, PROCESS_PID);
    control_init();               /* the channel to ops, and the log over it */
    power_button_init(terminate); /* SIGTERM from a cloud's stop */
    phase_mark(PHASE_PROCESS);
    clock_rate_init(); /* TSC rate; timers run from here on */
    cpus_start();      /* the other CPUs */
    phase_mark(PHASE_CPUS);
    if (cpuinfo_init()) /* their files in /proc and /sys */
        panic("no memory for /sys");
    trace_init(manifest.trace);
    volumes_mount();      /* the manifest's `mount` */
    shares_mount();       /* and `share` */
    attend_init(&tracer); /* what ops asks of it later */
    phase_mark(PHASE_MOUNTS);
    if (manifest.phases)
        phases_tell();
    cloud_ask();    /* the manifest's `metadata` */
    ntp_start();    /* asks for the time, where the manifest says whom */
    exec_program(); /* load it and start its first thread */
    thread_exit();
}

/* Until the control channel is there to tell the host. */
static void panic_power_off(const char *reason)
{
    crashlog_panic(reason);
    power_off(OPS_DEBUG_EXIT_PANIC);
}

static void panic_write(const void *text, size_t n)
{
    serial_write(text, n);
    vga_write(text, n);
    crashlog_text(text, n);
}

/* On a stack with a guard page, which becomes the idle thread's. */
static _Noreturn void kernel_main_guarded(void)
{
    phase_mark(PHASE_MEMORY);
    lapic_setup();
    clock_init();
    manifest_load();
    entropy_init();
    thread_init();
    struct thread *t;
    if (thread_create(&t, "init", kernel_init, NULL))
        panic("no memory for the first thread");
    phase_mark(PHASE_CORE);
    thread_start(t);
    thread_idle();
}

void kernel_main(void)
{
    phase_mark(PHASE_ENTRY);
    serial_init(); /* panics can be read from here on */
    panic_set_output(panic_write);
    panic_set_hook(panic_power_off);
    acpi_init(boot_info.rsdp, BOOT_MAPPED); /* while the loader's map covers all tables */
    memory_init(false);                     /* page frames below 4 GiB */
    paging_init();                          /* final page tables */
    memory_init(true);                      /* the frames above */
    vga_init();                             /* a BIOS machine's screen shows panics, too */
    void *stack = paging_map_stack(KSTACK_PAGES);
    if (!stack || !cpu_map_stacks(0))
        panic("no memory for the boot CPU's stacks");
    cpu_run_on(stack, kernel_main_guarded);
}

void kernel_main_ap(void)
{
    kvmclock_start_cpu();
    thread_init();
    thread_idle();
}
