/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as an OVA: see appliance.h. */
#include "appliance.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "tarball.h"
#include "buf.h"
#include "digest.h"
#include "ops/exit.h"
#include "xml.h"

/* How the virtual hardware is written down (CIM_ResourceAllocationSettingData). */
enum { CIM_PROCESSOR = 3, CIM_MEMORY = 4, CIM_CARD = 10, CIM_DISK = 17, CIM_OTHER = 20 };

static const char envelope[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                               "<Envelope ovf:version=\"1.0\" xml:lang=\"en-US\"\n"
                               "    xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                               "    xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                               "    xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
                               "CIM_ResourceAllocationSettingData\"\n"
                               "    xmlns:vssd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
                               "CIM_VirtualSystemSettingData\">\n";

/* The elements of an item must stand in the order of the alphabet. */
static void item_add(struct buf *b, int number, int type, const char *name, const char *subtype,
                     const char *before, const char *after)
{
    buf_addf(b, "      <Item>\n%s        <rasd:ElementName>%s</rasd:ElementName>\n", before, name);
    if (type == CIM_DISK)
        buf_addf(b, "        <rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>\n");
    buf_addf(b, "        <rasd:InstanceID>%d</rasd:InstanceID>\n", number);
    if (type == CIM_DISK)
        buf_addf(b, "        <rasd:Parent>3</rasd:Parent>\n");
    if (subtype)
        buf_addf(b, "        <rasd:ResourceSubType>%s</rasd:ResourceSubType>\n", subtype);
    buf_addf(b, "        <rasd:ResourceType>%d</rasd:ResourceType>\n%s      </Item>\n", type,
             after);
}

static void hardware_add(struct buf *b, const struct appliance *a)
{
    char *cpus = alloc_printf("        <rasd:VirtualQuantity>%llu</rasd:VirtualQuantity>\n",
                              (unsigned long long)a->cpus);
    char *memory = alloc_printf("        <rasd:VirtualQuantity>%llu</rasd:VirtualQuantity>\n",
                                (unsigned long long)(a->memory >> 20));
    item_add(b, 1, CIM_PROCESSOR, "processors", NULL, "", cpus);
    item_add(b, 2, CIM_MEMORY, "memory", NULL,
             "        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>\n", memory);
    item_add(b, 3, CIM_OTHER, "disk controller", a->virtio ? "VirtioSCSI" : "vmware.sata.ahci",
             "        <rasd:Address>0</rasd:Address>\n", "");
    item_add(b, 4, CIM_DISK, "disk", NULL,
             "        <rasd:AddressOnParent>0</rasd:AddressOnParent>\n", "");
    item_add(b, 5, CIM_CARD, "network card", a->virtio ? "virtio" : "E1000e",
             "        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>\n"
             "        <rasd:Connection>network</rasd:Connection>\n",
             "");
    free(memory);
    free(cpus);
}

static void descriptor_make(struct buf *b, const struct appliance *a, uint64_t capacity,
                            uint64_t vmdk)
{
    char *name = xml_text(a->name);
    buf_add(b, envelope, sizeof envelope - 1);
    buf_addf(b,
             "  <References>\n"
             "    <File ovf:id=\"file1\" ovf:href=\"%s-disk1.vmdk\" ovf:size=\"%llu\"/>\n"
             "  </References>\n"
             "  <DiskSection>\n"
             "    <Info>the disk</Info>\n"
             "    <Disk ovf:diskId=\"vmdisk1\" ovf:fileRef=\"file1\" ovf:capacity=\"%llu\"\n"
             "        ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html"
             "#streamOptimized\"/>\n"
             "  </DiskSection>\n"
             "  <NetworkSection>\n"
             "    <Info>the network of its card</Info>\n"
             "    <Network ovf:name=\"network\"/>\n"
             "  </NetworkSection>\n",
             name, (unsigned long long)vmdk, (unsigned long long)capacity);
    buf_addf(b,
             "  <VirtualSystem ovf:id=\"%s\">\n"
             "    <Info>a program of ops</Info>\n"
             "    <Name>%s</Name>\n"
             "    <OperatingSystemSection ovf:id=\"101\">\n"
             "      <Info>Linux, 64 bits</Info>\n"
             "    </OperatingSystemSection>\n"
             "    <VirtualHardwareSection>\n"
             "      <Info>the machine</Info>\n"
             "      <System>\n"
             "        <vssd:ElementName>hardware</vssd:ElementName>\n"
             "        <vssd:InstanceID>0</vssd:InstanceID>\n"
             "        <vssd:VirtualSystemType>%s</vssd:VirtualSystemType>\n"
             "      </System>\n",
             name, name, a->virtio ? "virtualbox-2.2" : "vmx-13");
    hardware_add(b, a);
    buf_addf(b, "    </VirtualHardwareSection>\n"
                "  </VirtualSystem>\n"
                "</Envelope>\n");
    free(name);
}

static void digest_line(struct buf *b, const char *file, const unsigned char digest[DIGEST_SIZE])
{
    char text[DIGEST_TEXT];
    digest_text(digest, text);
    buf_addf(b, "SHA256(%s)= %s\n", file, text);
}

/* Descriptor, manifest and disk, in this order: a reader can check a stream. */
static bool members_write(const struct outfile *out, const struct appliance *a, int vmdk,
                          uint64_t vmdk_size, const struct buf *ovf, struct err *err)
{
    struct tarball tar;
    struct buf sums = {0};
    unsigned char digest[DIGEST_SIZE];
    char *ovf_name = alloc_printf("%s.ovf", a->name), *mf_name = alloc_printf("%s.mf", a->name);
    char *vmdk_name = alloc_printf("%s-disk1.vmdk", a->name);
    digest_of_bytes(ovf->data, ovf->size, digest);
    digest_line(&sums, ovf_name, digest);
    bool ok = digest_of_fd(vmdk, digest) || err_errno(err, "read", out->path);
    digest_line(&sums, vmdk_name, digest);
    if (ok && (ok = tarball_begin(&tar, out->fd, out->path, false, err))) {
        ok = tarball_add(&tar, ovf_name, ovf->size, ovf->data, -1, err) &&
             tarball_add(&tar, mf_name, sums.size, sums.data, -1, err) &&
             tarball_add(&tar, vmdk_name, vmdk_size, NULL, vmdk, err);
        ok = tarball_end(&tar, ok, err);
    }
    buf_free(&sums);
    free(vmdk_name);
    free(mf_name);
    free(ovf_name);
    return ok;
}

bool appliance_write(int raw, const struct outfile *out, const struct appliance *a, struct err *err)
{
    struct stat st;
    struct buf ovf = {0};
    char *name = alloc_printf("%s-disk1.vmdk", a->name);
    off_t capacity = lseek(raw, 0, SEEK_END);
    int vmdk = outfile_scratch(out, err);
    bool ok = vmdk >= 0 && format_convert(FORMAT_VMDK, raw, vmdk, name, out->path, err);
    if (ok && fstat(vmdk, &st) < 0)
        ok = err_errno(err, "read", out->path);
    if (ok) {
        descriptor_make(&ovf, a, (uint64_t)capacity, (uint64_t)st.st_size);
        ok = members_write(out, a, vmdk, (uint64_t)st.st_size, &ovf, err);
    }
    if (vmdk >= 0)
        close(vmdk);
    buf_free(&ovf);
    free(name);
    return ok;
}
