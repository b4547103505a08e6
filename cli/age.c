/* SPDX-License-Identifier: Apache-2.0 */
/* Ages: see age.h. */
#include "age.h"

#include <stdlib.h>
#include <string.h>

#include "ops/exit.h"

#define AGE_MOST 10000 /* of any unit: the calendar goes further back than any file */

bool age_before(const char *text, time_t now, time_t *then, struct err *err)
{
    struct tm tm;
    char *unit = (char *)text;
    unsigned long n = *text >= '0' && *text <= '9' ? strtoul(text, &unit, 10) : 0;
    bool ok = n > 0 && n <= AGE_MOST && *unit && strchr("dwmy", *unit) && !unit[1];
    if (!ok)
        return err_set(err, OPS_EXIT_USAGE, "write 3d, 2w, 6m or 1y: days, weeks, months, years",
                       "%s is no age", text);
    gmtime_r(&now, &tm);
    switch (*unit) {
    case 'd':
        tm.tm_mday -= (int)n;
        break;
    case 'w':
        tm.tm_mday -= 7 * (int)n;
        break;
    case 'm':
        tm.tm_mon -= (int)n;
        break;
    default:
        tm.tm_year -= (int)n;
    }
    *then = timegm(&tm);
    return true;
}
