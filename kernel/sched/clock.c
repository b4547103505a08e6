/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock: see clock.h. QEMU and KVM run the local APIC timer at 1 GHz, which
 * makes it the reference where the hypervisor does not tell the TSC's rate: two
 * readings, at clock_init() and at the end of boot, and no waiting in between.
 * Where TSCs differ between CPUs time comes from a source that knows how.
 * Lock: clock_lock for writers of the page; readers use its sequence number.
 */
#include "sched/clock.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/features.h"
#include "core/log.h"
#include "core/spinlock.h"
#include "sched/clock_page.h"

#define LAPIC_HZ    NSEC_PER_SEC
#define PROGRAM_MAX (4 * NSEC_PER_SEC)
#define SAMPLES     8
#define SLEW_MAX    ((int64_t)(INT64_MAX >> CLOCK_SLEW_SHIFT)) /* 52 days */
#define SYNCED_MAX  (24 * 3600 * NSEC_PER_SEC)

static union {
    struct clock_page page;
    uint8_t bytes[PAGE_SIZE];
} shared __attribute__((aligned(PAGE_SIZE)));
static struct spinlock clock_lock;
static uint64_t tsc_hz;
static uint64_t told_hz; /* before clock_trim() */
static uint64_t sample_tsc;
static uint32_t sample_lapic;
static bool calibrated;
static bool synced; /* by somebody outside: clock_set_synced() */
static uint64_t synced_at, synced_error;
static uint64_t (*source)(void); /* read instead of the TSC */
static uint64_t source_base;     /* what it said when the clock was at 0 */
static uint64_t source_latest;   /* the highest time given out */

/* The TSC and the APIC timer at one moment: the closest of a few attempts. */
static void clock_sample(uint64_t *tsc, uint32_t *lapic)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t before = cpu_tsc();
        uint32_t left = lapic_timer_left();
        uint64_t after = cpu_tsc();
        if (after - before >= best)
            continue;
        best = after - before;
        *tsc = before + best / 2;
        *lapic = left;
    }
}

static void page_begin(struct clock_page *p)
{
    p->seq++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void page_end(struct clock_page *p)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    p->seq++;
}

/* The rate changes from now on; the time itself does not jump. */
static void clock_set_rate(uint64_t hz)
{
    irqflags_t flags = spin_lock_irq(&clock_lock);
    struct clock_page *p = &shared.page;
    uint64_t tsc = cpu_tsc(), now = clock_page_now(p, tsc);
    page_begin(p);
    p->tsc_base = tsc;
    p->mono_base = now;
    p->mult = cpu_muldiv(NSEC_PER_SEC, 1ull << 32, hz);
    page_end(p);
    tsc_hz = hz;
    spin_unlock_irq(&clock_lock, flags);
}

void clock_init(void)
{
    shared.page.tsc_base = cpu_tsc();
    shared.page.cpu_from_tsc_aux = cpu_has(CPU_RDTSCP);
    clock_set_rate(NSEC_PER_SEC);
    if (!cpu_has(CPU_TSC_DEADLINE))
        clock_sample(&sample_tsc, &sample_lapic);
}

void clock_calibrate(uint64_t hz)
{
    if (!hz && !cpu_has(CPU_TSC_DEADLINE)) {
        uint64_t tsc = 0;
        uint32_t lapic = 0;
        clock_sample(&tsc, &lapic);
        uint32_t ticks = sample_lapic - lapic;
        if (ticks)
            hz = cpu_muldiv(tsc - sample_tsc, LAPIC_HZ, ticks);
    }
    if (hz)
        clock_set_rate(hz);
    else
        log_warn("no reference for the TSC's rate, taking 1 GHz");
    told_hz = tsc_hz;
    shared.page.usable = !source;
    calibrated = true;
    log_info("clock: TSC at %lu kHz", tsc_hz / 1000);
}

bool clock_calibrated(void)
{
    return calibrated;
}

uint64_t clock_tsc_hz(void)
{
    return tsc_hz;
}

void clock_set_source(uint64_t (*read)(void))
{
    source_latest = clock_now();
    source_base = read() - source_latest;
    shared.page.usable = 0;
    __atomic_store_n(&source, read, __ATOMIC_RELEASE);
}

/* CPUs disagree by some nanoseconds even so: nobody is told less than anybody before. */
static uint64_t source_now(void)
{
    uint64_t now = source() - source_base;
    uint64_t latest = __atomic_load_n(&source_latest, __ATOMIC_RELAXED);
    while ((int64_t)(now - latest) > 0)
        if (__atomic_compare_exchange_n(&source_latest, &latest, now, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return now;
    return latest;
}

uint64_t clock_now(void)
{
    if (source)
        return source_now();
    const struct clock_page *p = &shared.page;
    uint32_t seq;
    uint64_t now;
    do {
        while ((seq = __atomic_load_n(&p->seq, __ATOMIC_ACQUIRE)) & 1)
            cpu_relax();
        now = clock_page_now(p, cpu_tsc());
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (seq != p->seq);
    return now;
}

void clock_trim(int32_t ppb)
{
    if (source || !told_hz)
        return;
    uint64_t part = cpu_muldiv(told_hz, (uint64_t)(ppb < 0 ? -(int64_t)ppb : ppb), NSEC_PER_SEC);
    clock_set_rate(ppb < 0 ? told_hz + part : told_hz - part);
}

uint64_t clock_wall(void)
{
    const struct clock_page *p = &shared.page;
    uint32_t seq;
    uint64_t wall, now = clock_now();
    do {
        while ((seq = __atomic_load_n(&p->seq, __ATOMIC_ACQUIRE)) & 1)
            cpu_relax();
        wall = clock_page_wall(p, now);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (seq != p->seq);
    return wall;
}

uint64_t clock_wall_unlocked(void)
{
    const struct clock_page *p = &shared.page;
    return clock_page_wall(p, source ? source_latest : clock_page_now(p, cpu_tsc()));
}

/* The wall clock is at `wall` now and goes on from there by `slew` ns. */
static void wall_change(uint64_t now, uint64_t wall, int64_t slew)
{
    struct clock_page *p = &shared.page;
    page_begin(p);
    p->wall_base = wall - now;
    p->slew_from = now;
    p->slew_span = (uint64_t)(slew < 0 ? -slew : slew) << CLOCK_SLEW_SHIFT;
    p->slew_back = slew < 0;
    page_end(p);
}

void clock_set_wall(uint64_t wall)
{
    irqflags_t flags = spin_lock_irq(&clock_lock);
    wall_change(clock_now(), wall, 0);
    synced = false;
    spin_unlock_irq(&clock_lock, flags);
}

void clock_slew(int64_t ns)
{
    irqflags_t flags = spin_lock_irq(&clock_lock);
    uint64_t now = clock_now();
    ns = MAX(MIN(ns, SLEW_MAX), -SLEW_MAX);
    wall_change(now, clock_page_wall(&shared.page, now), ns);
    spin_unlock_irq(&clock_lock, flags);
}

int64_t clock_slew_left(void)
{
    const struct clock_page *p = &shared.page;
    irqflags_t flags = spin_lock_irq(&clock_lock);
    uint64_t left = (p->slew_span >> CLOCK_SLEW_SHIFT) - clock_page_slewed(p, clock_now());
    bool back = p->slew_back;
    spin_unlock_irq(&clock_lock, flags);
    return back ? -(int64_t)left : (int64_t)left;
}

void clock_set_synced(uint64_t error)
{
    irqflags_t flags = spin_lock_irq(&clock_lock);
    synced = true;
    synced_at = clock_now();
    synced_error = error;
    spin_unlock_irq(&clock_lock, flags);
}

bool clock_is_synced(uint64_t *error)
{
    irqflags_t flags = spin_lock_irq(&clock_lock);
    uint64_t age = clock_now() - synced_at;
    *error = synced_error + (age >> CLOCK_SLEW_SHIFT); /* as RFC 5905 lets it grow, about */
    bool is = synced && age < SYNCED_MAX;
    spin_unlock_irq(&clock_lock, flags);
    return is;
}

struct clock_page *clock_shared_page(void)
{
    return &shared.page;
}

void clock_program(uint64_t deadline)
{
    if (!calibrated)
        return; /* the APIC timer is the reference until then */
    if (deadline == CLOCK_NEVER) {
        if (cpu_has(CPU_TSC_DEADLINE))
            lapic_timer_tsc(0);
        else
            lapic_timer_count(0);
        return;
    }
    uint64_t now = clock_now();
    uint64_t wait = deadline > now ? MIN(deadline - now, PROGRAM_MAX) : 0;
    if (cpu_has(CPU_TSC_DEADLINE))
        lapic_timer_tsc(cpu_tsc() + cpu_muldiv(wait, tsc_hz, NSEC_PER_SEC) + 1);
    else
        lapic_timer_count((uint32_t)wait + 1);
}
