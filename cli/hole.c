/* SPDX-License-Identifier: Apache-2.0 */
/* Holes of files: see hole.h. */
#include "hole.h"

#include <errno.h>
#include <unistd.h>

off_t hole_skip(int fd, off_t at, off_t end)
{
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? end : at;
    return data < end ? data : end;
}
