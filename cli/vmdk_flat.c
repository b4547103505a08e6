/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as VMware's monolithicFlat: see vmdk_flat.h. (VMware Virtual Disk Format 5.0.) */
#include "vmdk_flat.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "disk_format.h"
#include "hostpath.h"
#include "outfile.h"

/* What a BIOS of VMware takes an LSI Logic disk for. */
enum { HEADS = 255, SECTORS_A_TRACK = 63 };

char *vmdk_flat_extent(const char *path)
{
    size_t n = strlen(path);
    if (n > 5 && strcasecmp(path + n - 5, ".vmdk") == 0)
        n -= 5;
    return alloc_printf("%.*s-flat.vmdk", (int)n, path);
}

static void text_make(struct buf *to, const char *file, uint64_t sectors, const uint8_t id[16])
{
    buf_addf(to,
             "# Disk DescriptorFile\n"
             "version=1\n"
             "CID=%02x%02x%02x%02x\n"
             "parentCID=ffffffff\n"
             "createType=\"monolithicFlat\"\n"
             "\n"
             "# Extent description\n"
             "RW %llu FLAT \"%s\" 0\n"
             "\n"
             "# The Disk Data Base\n"
             "#DDB\n"
             "\n"
             "ddb.virtualHWVersion = \"4\"\n"
             "ddb.geometry.cylinders = \"%llu\"\n"
             "ddb.geometry.heads = \"%d\"\n"
             "ddb.geometry.sectors = \"%d\"\n"
             "ddb.adapterType = \"lsilogic\"\n",
             id[0], id[1], id[2], id[3], (unsigned long long)sectors, file,
             (unsigned long long)(sectors / (HEADS * SECTORS_A_TRACK)), HEADS, SECTORS_A_TRACK);
}

bool vmdk_flat_describe(const char *path, const char *extent, struct err *err)
{
    uint8_t id[16];
    struct buf text = {0};
    int fd = open(extent, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 || err_errno(err, "open", extent);
    ok = ok && format_disk_id(fd, extent, id, err);
    if (ok) {
        text_make(&text, path_basename(extent), (uint64_t)lseek(fd, 0, SEEK_END) / 512, id);
        ok = outfile_text(path, text.data, err);
    }
    if (fd >= 0)
        close(fd);
    buf_free(&text);
    return ok;
}
