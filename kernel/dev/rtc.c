/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818 real-time clock behind ports 0x70/0x71. Read at boot, on one CPU: no
 * lock. Main struct: rtc_time, the registers as they stand.
 */
#include <errno.h>

#include "arch/x86_64/io.h"
#include "dev/wallclock.h"
#include "lib/string.h"

#define PORT_INDEX 0x70
#define PORT_DATA  0x71

#define REG_STATUS_A 0x0a
#define REG_STATUS_B 0x0b
#define REG_CENTURY  0x32
#define UPDATING     0x80 /* status A */
#define EMPTY_BUS    0xff
#define MODE_24H     0x02 /* status B */
#define MODE_BINARY  0x04
#define HOUR_PM      0x80
#define UPDATE_POLLS 100000 /* an update takes 2 ms at most */
#define READ_TRIES   10
#define DAY_SECONDS  86400

struct rtc_time {
    uint8_t second, minute, hour, day, month, year, century;
};

static uint8_t cmos_read(uint8_t reg)
{
    outb(PORT_INDEX, reg);
    return inb(PORT_DATA);
}

static bool update_wait(void)
{
    for (unsigned i = 0; i < UPDATE_POLLS; i++) {
        uint8_t status = cmos_read(REG_STATUS_A);
        if (!(status & UPDATING))
            return true;
        if (status == EMPTY_BUS)
            return false;
    }
    return false;
}

static void registers_read(struct rtc_time *t)
{
    t->second = cmos_read(0x00);
    t->minute = cmos_read(0x02);
    t->hour = cmos_read(0x04);
    t->day = cmos_read(0x07);
    t->month = cmos_read(0x08);
    t->year = cmos_read(0x09);
    t->century = cmos_read(REG_CENTURY);
}

static unsigned from_bcd(unsigned v)
{
    return (v >> 4) * 10 + (v & 15);
}

/* Days since 1970: years counted from March, so that the leap day comes last. */
int64_t civil_days(int year, unsigned month, unsigned day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned year_of_era = (unsigned)(y - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int convert(const struct rtc_time *raw, uint8_t mode, uint64_t *seconds)
{
    bool bcd = !(mode & MODE_BINARY), pm = !(mode & MODE_24H) && raw->hour & HOUR_PM;
    unsigned v[7] = {raw->second, raw->minute, mode & MODE_24H ? raw->hour : raw->hour & 0x7fu,
                     raw->day,    raw->month,  raw->year,
                     raw->century};
    for (unsigned i = 0; i < ARRAY_SIZE(v) && bcd; i++)
        v[i] = from_bcd(v[i]);
    if (!(mode & MODE_24H))
        v[2] = v[2] % 12 + (pm ? 12 : 0);
    if (v[0] > 60 || v[1] > 59 || v[2] > 23 || v[3] < 1 || v[3] > 31 || v[4] < 1 || v[4] > 12 ||
        v[5] > 99)
        return -ENODEV;
    bool century = v[6] >= 19 && v[6] <= 29; /* else the register means something else */
    int year = (int)(v[5] + (century ? v[6] * 100 : v[5] < 70 ? 2000 : 1900));
    int64_t t = civil_days(year, v[4], v[3]) * DAY_SECONDS + v[2] * 3600 + v[1] * 60 + v[0];
    if (t < 0)
        return -ENODEV;
    *seconds = (uint64_t)t;
    return 0;
}

int rtc_read(uint64_t *seconds)
{
    struct rtc_time now, before;
    if (!update_wait())
        return -ENODEV;
    registers_read(&now);
    for (unsigned i = 0; i < READ_TRIES; i++) { /* twice the same: no update in between */
        before = now;
        if (!update_wait())
            return -ENODEV;
        registers_read(&now);
        if (!memcmp(&now, &before, sizeof now))
            return convert(&now, cmos_read(REG_STATUS_B), seconds);
    }
    return -ENODEV;
}
