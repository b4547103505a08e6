/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed power button: bit 8 of PM1's status and enable registers (ACPI §4.8.3.1). No lock. */
#include "dev/power_button.h"

#include "arch/x86_64/io.h"
#include "arch/x86_64/irq.h"
#include "core/log.h"
#include "dev/acpi.h"

#define PM1_POWER_BUTTON (1u << 8)

static void (*on_press)(void);

/* The input is shared with other ACPI events, none of which is enabled. */
static void sci_interrupt(void *arg)
{
    (void)arg;
    if (!(inw(acpi_info.pm1a_event) & PM1_POWER_BUTTON))
        return;
    outw(acpi_info.pm1a_event, PM1_POWER_BUTTON); /* writing 1 clears it */
    on_press();
}

void power_button_init(void (*pressed)(void))
{
    if (!acpi_info.power_button)
        return;
    on_press = pressed;
    struct acpi_irq irq = acpi_isa_irq((uint8_t)acpi_info.sci);
    if (!irq.level) /* no override: not as ISA has it (§5.2.9, SCI_INT) */
        irq.level = irq.active_low = true;
    if (irq_register(irq.gsi, irq.level, irq.active_low, sci_interrupt, NULL, "acpi")) {
        log_warn("no interrupt for the power button: it is ignored");
        return;
    }
    acpi_enable();
    outw(acpi_info.pm1a_event, PM1_POWER_BUTTON);
    outw((uint16_t)(acpi_info.pm1a_event + acpi_info.pm1_event_length / 2), PM1_POWER_BUTTON);
}
