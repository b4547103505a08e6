/* SPDX-License-Identifier: Apache-2.0 */
/* Power off: each way in turn, as a missing device ignores what is written to it. No lock. */
#include "dev/power.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/reset.h"
#include "arch/x86_64/xen.h"
#include "dev/acpi.h"
#include "dev/vga.h"
#include "ops/control.h"

#define KEYBOARD_COMMAND 0x64
#define KEYBOARD_BUSY    0x02
#define KEYBOARD_RESET   0xfe
#define KEYBOARD_POLLS   10000

static void keyboard_reset(void)
{
    for (unsigned i = 0; i < KEYBOARD_POLLS && inb(KEYBOARD_COMMAND) & KEYBOARD_BUSY; i++)
        ;
    outb(KEYBOARD_COMMAND, KEYBOARD_RESET);
}

_Noreturn void power_off(int debug_exit)
{
    irq_disable();
    outb(OPS_DEBUG_EXIT_PORT, (uint8_t)debug_exit);
    vga_hold(); /* of a panic; under ops the machine has ended by now */
    if (xen_present())
        xen_shutdown(debug_exit == OPS_DEBUG_EXIT_PANIC ? XEN_CRASH : XEN_POWEROFF);
    acpi_power_off();
    acpi_reset();
    keyboard_reset();
    cpu_triple_fault();
    cpu_halt();
}
