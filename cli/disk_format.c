/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of disks: see disk_format.h. */
#include "disk_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "alloc.h"
#include "appliance.h"
#include "buf.h"
#include "child.h"
#include "containerdisk.h"
#include "disk_stamp.h"
#include "gpt_table.h"
#include "hostpath.h"
#include "nearest.h"
#include "ops/exit.h"
#include "script.h"
#include "strlist.h"
#include "tarball.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

struct format {
    const char *name;
    const char *suffixes; /* of outputs, with spaces between */
    const char *convert;  /* qemu-img's words; NULL: not its work */
    uint64_t align;
};

static const struct format formats[FORMAT_COUNT] = {
    [FORMAT_RAW] = {"raw", ".raw .img", NULL, MIB},
    [FORMAT_QCOW2] = {"qcow2", ".qcow2", "-O qcow2 -o lazy_refcounts=off", MIB},
    [FORMAT_QCOW2_SMALL] = {"qcow2-compressed", "", "-c -O qcow2 -o lazy_refcounts=off", MIB},
    [FORMAT_VMDK] = {"vmdk", ".vmdk", "-O vmdk -o adapter_type=lsilogic,subformat=streamOptimized",
                     MIB},
    [FORMAT_VHD] = {"vhd", ".vhd", NULL, MIB}, /* Azure takes whole MiB only */
    [FORMAT_VHDX] = {"vhdx", ".vhdx", "-O vhdx -o subformat=dynamic", MIB},
    [FORMAT_VDI] = {"vdi", ".vdi", "-O vdi", MIB},
    [FORMAT_GCP] = {"gcp", ".tar.gz", NULL, GIB}, /* Google takes whole GiB only */
    [FORMAT_OVA] = {"ova", ".ova", NULL, MIB},
    [FORMAT_VMDK_FLAT] = {"vmdk-flat", "", NULL, MIB},
    [FORMAT_ISO] = {"iso", ".iso", NULL, MIB},
    [FORMAT_CONTAINER] = {"containerdisk", ".oci .oci.tar", NULL, MIB},
    [FORMAT_DIRECT] = {"direct", "", NULL, MIB},
};

static bool suffix_of(const char *path, const char *suffixes)
{
    for (const char *at = suffixes; *at;) {
        size_t n = strcspn(at, " "), length = strlen(path);
        if (length > n && strncasecmp(path + length - n, at, n) == 0)
            return true;
        at += n + (at[n] == ' ');
    }
    return false;
}

static bool format_unknown(const char *given, struct err *err)
{
    const char *names[FORMAT_COUNT];
    struct buf list = {0};
    for (int f = 0; f < FORMAT_COUNT; f++) {
        names[f] = formats[f].name;
        buf_addf(&list, "%s%s", f ? ", " : "", names[f]);
    }
    const char *near = nearest_word(given, names, FORMAT_COUNT);
    err_set(err, OPS_EXIT_USAGE, NULL, "there is no format %s", given);
    if (near)
        err_hint(err, "did you mean %s? There are %s", near, list.data);
    else
        err_hint(err, "there are %s", list.data);
    buf_free(&list);
    return false;
}

bool format_choose(const char *given, const char *path, enum disk_format *format, struct err *err)
{
    *format = FORMAT_RAW;
    for (int f = 0; f < FORMAT_COUNT; f++) {
        if (given ? strcmp(given, formats[f].name) == 0 : suffix_of(path, formats[f].suffixes)) {
            *format = (enum disk_format)f;
            return true;
        }
    }
    return !given || format_unknown(given, err);
}

const char *format_name(enum disk_format format)
{
    return formats[format].name;
}

bool format_suffix(enum disk_format format, const char *path)
{
    return suffix_of(path, formats[format].suffixes);
}

uint64_t format_align(enum disk_format format)
{
    return formats[format].align;
}

static char *tool_find(enum disk_format format, struct err *err)
{
    char *tool = script_find(NULL, "qemu-img");
    if (!tool)
        err_set(err, OPS_EXIT_FAILED, "install it: apt install qemu-utils",
                "cannot find qemu-img, which makes disks of the format %s", formats[format].name);
    return tool;
}

bool format_ready(enum disk_format format, struct err *err)
{
    if (!formats[format].convert && format != FORMAT_OVA && format != FORMAT_CONTAINER)
        return true;
    char *tool = tool_find(format, err);
    free(tool);
    return tool != NULL;
}

bool format_disk_id(int raw, const char *shown, uint8_t id[16], struct err *err)
{
    struct gpt_partition part;
    char name[37];
    uint8_t *head = alloc_zero((size_t)GPT_HEAD_SECTORS * GPT_SECTOR);
    bool ok = pread(raw, head, (size_t)GPT_HEAD_SECTORS * GPT_SECTOR, 0) ==
                  (ssize_t)GPT_HEAD_SECTORS * GPT_SECTOR ||
              err_errno(err, "read", shown);
    if (ok)
        gpt_read(head, UINT64_MAX, &part, &name, 1, id);
    free(head);
    return ok;
}

static bool qemu_img_run(enum disk_format format, int raw, int to, const char *shown,
                         struct err *err)
{
    char *tool = tool_find(format, err);
    if (!tool)
        return false;
    const int keep[] = {raw, to};
    struct strlist argv = {0};
    struct buf said = {0};
    int status;
    strlist_add(&argv, tool);
    strlist_split(&argv, "convert -f raw", " ");
    strlist_split(&argv, formats[format].convert, " ");
    strlist_addf(&argv, "/proc/self/fd/%d", raw);
    strlist_addf(&argv, "/proc/self/fd/%d", to);
    bool ok = child_status(&argv, keep, 2, &said, &status, err);
    if (ok && status != 0) {
        errno = ENOSPC;
        ok = strstr(said.data, strerror(ENOSPC))
                 ? err_errno(err, "write", shown)
                 : err_set(err, OPS_EXIT_FAILED, NULL, "%s failed: %s", tool, said.data);
    }
    buf_free(&said);
    strlist_free(&argv);
    free(tool);
    return ok;
}

bool format_convert(enum disk_format format, int raw, int to, const char *name, const char *shown,
                    struct err *err)
{
    uint8_t id[16];
    if (!format_disk_id(raw, shown, id, err) || !qemu_img_run(format, raw, to, shown, err))
        return false;
    switch (format) {
    case FORMAT_VMDK:
        return stamp_vmdk(to, shown, name, id, err);
    case FORMAT_VHDX:
        return stamp_vhdx(to, shown, id, err);
    case FORMAT_VDI:
        return stamp_vdi(to, shown, id, err);
    default:
        return true; /* nothing at random */
    }
}

bool format_write(enum disk_format format, int raw, const struct outfile *out,
                  const struct appliance *a, struct err *err)
{
    struct tarball tar;
    off_t size = lseek(raw, 0, SEEK_END);
    bool ok;
    switch (format) {
    case FORMAT_OVA:
        return appliance_write(raw, out, a, err);
    case FORMAT_CONTAINER:
        return containerdisk_write(raw, out, err);
    case FORMAT_GCP:
        if (!tarball_begin(&tar, out->fd, out->path, true, err))
            return false;
        ok = tarball_add(&tar, "disk.raw", (uint64_t)size, NULL, raw, err);
        return tarball_end(&tar, ok, err);
    default:
        return format_convert(format, raw, out->fd, path_basename(out->path), out->path, err);
    }
}

bool format_flat(enum disk_format format)
{
    return format == FORMAT_RAW || format == FORMAT_VHD || format == FORMAT_ISO;
}

bool format_finish(enum disk_format format, int fd, const char *shown, struct err *err)
{
    uint8_t id[16], footer[GPT_SECTOR];
    off_t size = lseek(fd, 0, SEEK_END);
    if (format != FORMAT_VHD)
        return true;
    if (!format_disk_id(fd, shown, id, err))
        return false;
    stamp_vhd(footer, (uint64_t)size, id);
    return outfile_put(fd, shown, footer, sizeof footer, size, err);
}
