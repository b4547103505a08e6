/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU fw_cfg, the classic interface: select a key, read bytes. Boot only; no state, no lock. */
#include "dev/fwcfg.h"

#include <errno.h>

#include "arch/x86_64/io.h"
#include "lib/string.h"

#define PORT_SELECT   0x510
#define PORT_DATA     0x511
#define KEY_SIGNATURE 0x00
#define KEY_CPUS      0x05

static void item_read(uint16_t key, uint8_t *out, unsigned n)
{
    outw(PORT_SELECT, key);
    while (n--)
        *out++ = inb(PORT_DATA);
}

int fwcfg_cpu_count(unsigned *count)
{
    uint8_t b[4];
    item_read(KEY_SIGNATURE, b, 4);
    if (memcmp(b, "QEMU", 4))
        return -ENODEV;
    item_read(KEY_CPUS, b, 2);
    *count = b[0] | (unsigned)b[1] << 8;
    return *count ? 0 : -ENODEV;
}
