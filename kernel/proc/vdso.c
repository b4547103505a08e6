/* SPDX-License-Identifier: Apache-2.0 */
/* Mapping the vDSO: [clock page, read-only][image, read and execute], as vdso.lds expects. */
#include "proc/vdso.h"

#include <asm/mman.h>
#include <linux/errno.h>

#include "arch/x86_64/layout.h"
#include "sched/clock.h"
#include "vm/map.h"

extern const uint8_t vdso_image[], vdso_image_end[];

static uint64_t base;

uint64_t vdso_base(void)
{
    return base;
}

int vdso_map(uint64_t top)
{
    uint64_t len = (uint64_t)(vdso_image_end - vdso_image);
    mutex_lock(&vm.lock);
    uint64_t data = vma_find_gap(len + PAGE_SIZE, top);
    mutex_unlock(&vm.lock);
    int err =
        data ? vm_map_kernel(data, PAGE_SIZE, PROT_READ, VMA_FIXED_PAGES | VMA_VVAR) : -ENOMEM;
    if (!err)
        err = vm_put_frame(data, virt_to_phys(clock_shared_page()), PROT_READ);
    uint64_t code = data + PAGE_SIZE;
    if (!err)
        err = vm_map_kernel(code, len, PROT_READ | PROT_EXEC, VMA_FIXED_PAGES);
    for (uint64_t off = 0; off < len && !err; off += PAGE_SIZE)
        err = vm_put_frame(code + off, virt_to_phys(vdso_image + off), PROT_READ | PROT_EXEC);
    if (!err)
        base = code;
    return err;
}
