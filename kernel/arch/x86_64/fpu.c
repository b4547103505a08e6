/* SPDX-License-Identifier: Apache-2.0 */
/* Extended state: see fpu.h. Layout: Intel SDM vol. 1 §13.4. */
#include "arch/x86_64/fpu.h"

#include "arch/x86_64/features.h"
#include "arch/x86_64/msr.h"
#include "lib/string.h"

#define MXCSR_OFFSET      24
#define MXCSR_MASK_OFFSET 28
#define XSTATE_HEADER     512
#define FXSAVE_SIZE       512

/* x87, SSE, AVX, and the three parts of AVX-512; AMX needs a permission protocol, PKRU keys. */
#define XCR0_WANTED 0xe7ull

uint32_t fpu_area_size = FXSAVE_SIZE;
uint64_t fpu_mask = 3;
static uint32_t mxcsr_mask = 0xffbf;

static inline void xsetbv(uint64_t v)
{
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

void fpu_setup(void)
{
    cpu_set_cr4(cpu_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    if (cpu_has(CPU_XSAVE)) {
        uint32_t r[4];
        cpu_set_cr4(cpu_cr4() | CR4_OSXSAVE);
        cpu_cpuid(0xd, 0, r);
        fpu_mask = (((uint64_t)r[3] << 32) | r[0]) & XCR0_WANTED;
        xsetbv(fpu_mask);
        cpu_cpuid(0xd, 0, r);
        fpu_area_size = ALIGN_UP(r[1], 64); /* size for the bits now set */
    }
    __asm__ volatile("fninit");
    static uint8_t area[FXSAVE_SIZE] __attribute__((aligned(16)));
    __asm__ volatile("fxsave64 %0" : "=m"(area));
    uint32_t mask;
    memcpy(&mask, area + MXCSR_MASK_OFFSET, sizeof mask);
    if (mask)
        mxcsr_mask = mask;
}

void fpu_area_init(void *area)
{
    uint8_t *p = area;
    const uint16_t fcw = 0x37f;
    const uint32_t mxcsr = 0x1f80;
    memset(p, 0, fpu_area_size);
    memcpy(p, &fcw, sizeof fcw);
    memcpy(p + MXCSR_OFFSET, &mxcsr, sizeof mxcsr);
}

void fpu_save(void *area)
{
    uint32_t lo = (uint32_t)fpu_mask, hi = (uint32_t)(fpu_mask >> 32);
    if (cpu_has(CPU_XSAVEOPT))
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(lo), "d"(hi) : "memory");
    else if (cpu_has(CPU_XSAVE))
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(lo), "d"(hi) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void fpu_restore(const void *area)
{
    uint32_t lo = (uint32_t)fpu_mask, hi = (uint32_t)(fpu_mask >> 32);
    if (cpu_has(CPU_XSAVE))
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(lo), "d"(hi) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

bool fpu_mxcsr_valid(uint32_t mxcsr)
{
    return !(mxcsr & ~mxcsr_mask);
}

bool fpu_area_valid(const void *area)
{
    const uint8_t *p = area;
    uint32_t mxcsr;
    memcpy(&mxcsr, p + MXCSR_OFFSET, sizeof mxcsr);
    if (!fpu_mxcsr_valid(mxcsr))
        return false;
    if (!cpu_has(CPU_XSAVE))
        return true;
    uint64_t header[8];
    memcpy(header, p + XSTATE_HEADER, sizeof header);
    if (header[0] & ~fpu_mask)
        return false;
    for (unsigned i = 1; i < ARRAY_SIZE(header); i++)
        if (header[i]) /* XCOMP_BV and reserved: the standard format has zeroes */
            return false;
    return true;
}

uint32_t fpu_exceptions(bool sse)
{
    if (sse) {
        uint32_t mxcsr;
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        return mxcsr & 0x3f & ~(mxcsr >> 7);
    }
    uint16_t sw, cw;
    __asm__ volatile("fnstsw %0; fnstcw %1" : "=m"(sw), "=m"(cw));
    return sw & 0x3f & ~(uint32_t)cw;
}
