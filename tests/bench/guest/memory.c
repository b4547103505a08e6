/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: the first touch of every page of a large mapping, and its whole life. */
#include "guest.h"

#include <sys/mman.h>

#define SIZE (64l << 20)
#define PAGE 4096l

static char *area;

static void area_map(void)
{
    area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(area != MAP_FAILED);
}

static void area_fresh(void)
{
    if (area)
        munmap(area, SIZE);
    area_map();
}

static void touch(long pages)
{
    for (long i = 0; i < pages; i++)
        ((volatile char *)area)[i * PAGE] = 1;
}

static void whole_life(long n)
{
    while (n--) {
        area_map();
        touch(SIZE / PAGE);
        munmap(area, SIZE);
    }
}

void rows_memory(void)
{
    measure_after("touch", area_fresh, touch, SIZE / PAGE);
    munmap(area, SIZE);
    measure("map", whole_life, 1);
}
