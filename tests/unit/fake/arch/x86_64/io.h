/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-in: ports are the test's, device registers are plain memory, or the test's too. */
#pragma once

#include "lib/types.h"

uint32_t fake_port_read(uint16_t port, unsigned size);
void fake_port_write(uint16_t port, uint32_t v, unsigned size);

/* A test whose registers are more than memory defines this; true: it has done the write. */
bool fake_mmio_write(volatile void *p, uint32_t v) __attribute__((weak));

static inline void outb(uint16_t port, uint8_t v)
{
    fake_port_write(port, v, 1);
}
static inline void outw(uint16_t port, uint16_t v)
{
    fake_port_write(port, v, 2);
}
static inline void outl(uint16_t port, uint32_t v)
{
    fake_port_write(port, v, 4);
}
static inline uint8_t inb(uint16_t port)
{
    return (uint8_t)fake_port_read(port, 1);
}
static inline uint16_t inw(uint16_t port)
{
    return (uint16_t)fake_port_read(port, 2);
}
static inline uint32_t inl(uint16_t port)
{
    return fake_port_read(port, 4);
}
static inline void ins16(uint16_t port, void *to, size_t n)
{
    for (uint16_t *p = to; n--; p++)
        *p = inw(port);
}
static inline void outs16(uint16_t port, const void *from, size_t n)
{
    for (const uint16_t *p = from; n--; p++)
        outw(port, *p);
}

static inline uint8_t mmio_read8(const volatile void *p)
{
    return *(const volatile uint8_t *)p;
}
static inline uint16_t mmio_read16(const volatile void *p)
{
    return *(const volatile uint16_t *)p;
}
static inline uint32_t mmio_read32(const volatile void *p)
{
    return *(const volatile uint32_t *)p;
}
static inline void mmio_write8(volatile void *p, uint8_t v)
{
    *(volatile uint8_t *)p = v;
}
static inline void mmio_write16(volatile void *p, uint16_t v)
{
    *(volatile uint16_t *)p = v;
}
static inline void mmio_write32(volatile void *p, uint32_t v)
{
    if (!fake_mmio_write || !fake_mmio_write(p, v))
        *(volatile uint32_t *)p = v;
}
