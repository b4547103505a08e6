/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of a text screen: a character and its colours each. No lock: the panic's alone. */
#include "dev/vga.h"

#include "arch/x86_64/boot.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/paging.h"
#include "sched/clock.h"

#define WHITE_ON_BLUE 0x1f00u
#define COLUMNS_MAX   256u
#define ROWS_MAX      128u
#define TAB           8u
#define HOLD          10 /* seconds */

static volatile char *cells; /* NULL: there is no such screen */
static uint32_t columns, rows;
static uint32_t column, row; /* of the next character */
static bool begun;

void vga_init(void)
{
    const struct boot_screen *s = &boot_info.screen;
    if (!s->address || !s->columns || s->columns > COLUMNS_MAX || !s->rows || s->rows > ROWS_MAX ||
        s->pitch < s->columns * 2)
        return;
    columns = s->pitch / 2; /* a row's cells in memory, all of which are seen in text modes */
    rows = s->rows;
    cells = paging_map_device(s->address, (size_t)s->pitch * rows);
}

static void cell_put(uint32_t at, uint8_t c)
{
    *(volatile uint16_t *)(cells + at * 2) = (uint16_t)(WHITE_ON_BLUE | c);
}

static void char_put(uint8_t c)
{
    if (c == '\n' || column == columns) {
        column = 0;
        row++;
    }
    if (c == '\n' || row >= rows)
        return;
    if (c == '\t')
        column = MIN(ALIGN_UP(column + 1, TAB), columns);
    else
        cell_put(row * columns + column++, c >= ' ' && c < 0x7f ? c : '?');
}

void vga_write(const void *text, size_t n)
{
    const uint8_t *p = text;
    if (!cells)
        return;
    for (uint32_t i = 0; !begun && i < columns * rows; i++)
        cell_put(i, ' ');
    begun = true;
    while (n--)
        char_put(*p++);
}

/* By the TSC: the clock may be what the panic is about. */
void vga_hold(void)
{
    uint64_t begin = cpu_tsc(), ticks = HOLD * MAX(clock_tsc_hz(), NSEC_PER_SEC);
    while (begun && cpu_tsc() - begin < ticks)
        cpu_relax();
}
