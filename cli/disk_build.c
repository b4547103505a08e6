/* SPDX-License-Identifier: Apache-2.0 */
/* A disk in its format: see disk_build.h. */
#include "disk_build.h"

#include <stdlib.h>
#include <unistd.h>

#include "direct.h"
#include "outfile.h"
#include "vmdk_flat.h"

/* The disk as it is first, then as it is wanted. */
static bool disk_convert(enum disk_format format, const struct outfile *out,
                         const struct disk_content *c, const struct appliance *a, struct err *err)
{
    int raw = outfile_scratch(out, err);
    bool ok =
        raw >= 0 && disk_write(raw, out->path, c, err) && format_write(format, raw, out, a, err);
    if (raw >= 0)
        close(raw);
    return ok;
}

static bool raw_build(const char *path, const struct disk_content *c, struct err *err)
{
    struct outfile out;
    bool ok = outfile_begin(&out, path, err) && disk_write(out.fd, path, c, err);
    return outfile_end(&out, ok, err);
}

/* The disk's own file first: a descriptor never names one that is not there. */
static bool vmdk_flat_build(const char *path, const struct disk_content *c, struct err *err)
{
    char *extent = vmdk_flat_extent(path);
    bool ok = raw_build(extent, c, err) && vmdk_flat_describe(path, extent, err);
    free(extent);
    return ok;
}

bool disk_build(enum disk_format format, const char *path, struct disk_content *c,
                const struct appliance *a, struct err *err)
{
    struct outfile out;
    c->align = format_align(format);
    c->cd = format == FORMAT_ISO;
    if (!format_ready(format, err))
        return false;
    if (format == FORMAT_DIRECT)
        return direct_write(path, c, err);
    if (format == FORMAT_VMDK_FLAT)
        return vmdk_flat_build(path, c, err);
    bool ok = outfile_begin(&out, path, err);
    if (ok && format_flat(format))
        ok = disk_write(out.fd, path, c, err) && format_finish(format, out.fd, path, err);
    else if (ok)
        ok = disk_convert(format, &out, c, a, err);
    return outfile_end(&out, ok, err);
}
