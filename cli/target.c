/* SPDX-License-Identifier: Apache-2.0 */
/* Where disks run: see target.h. */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "direct.h"
#include "hostpath.h"
#include "nearest.h"
#include "ops/exit.h"
#include "qemu.h"
#include "xml.h"

#define MIB ((uint64_t)1 << 20)

/* What is known when the files are written. */
struct place {
    const char *file; /* of the disk, without its directory */
    const char *path; /* absolute */
    enum disk_format format;
    const struct appliance *a;
    const unsigned *ports;
    size_t port_count;
};

struct target {
    const char *name;
    enum disk_format format;
    const char *ending; /* of the first file, behind the disk's name */
    void (*write)(struct buf *b, const struct place *p);
    const char *more_ending; /* of a second one; NULL: none */
    void (*more)(struct buf *b, const struct place *p);
    const char *lacks; /* why the kernel does not run there; NULL: it does */
};

/* A command line, quoted where a shell needs it. `words` ends with NULL. */
static void line_add(struct buf *b, const char *const *words)
{
    struct strlist l = {0};
    for (; *words; words++)
        strlist_add(&l, *words);
    char *line = qemu_shell_line(&l);
    buf_addf(b, "%s\n", line);
    free(line);
    strlist_free(&l);
}

#define LINE(b, ...) line_add(b, (const char *const[]){__VA_ARGS__, NULL})

/* Text between double quotes in JSON, YAML and HCL. Freed with free(). */
static char *quoted(const char *s)
{
    struct buf b = {0};
    buf_addf(&b, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_add(&b, "\\", 1);
        buf_add(&b, s, 1);
    }
    buf_addf(&b, "\"");
    return b.data;
}

static void libvirt_write(struct buf *b, const struct place *p)
{
    char *name = xml_text(p->a->name), *path = xml_text(p->path);
    buf_addf(b,
             "<domain type='kvm'>\n"
             "  <name>%s</name>\n"
             "  <memory unit='MiB'>%llu</memory>\n"
             "  <vcpu>%llu</vcpu>\n"
             "  <os>\n"
             "    <type arch='x86_64' machine='q35'>hvm</type>\n"
             "    <boot dev='hd'/>\n"
             "  </os>\n"
             "  <features>\n"
             "    <acpi/>\n"
             "  </features>\n"
             "  <cpu mode='host-passthrough'/>\n"
             "  <devices>\n"
             "    <disk type='file' device='disk'>\n"
             "      <driver name='qemu' type='qcow2'/>\n"
             "      <source file='%s'/>\n"
             "      <target dev='vda' bus='virtio'/>\n"
             "    </disk>\n"
             "    <interface type='network'>\n"
             "      <source network='default'/>\n"
             "      <model type='virtio'/>\n"
             "    </interface>\n"
             "    <serial type='pty'/>\n"
             "    <console type='pty'/>\n"
             "    <rng model='virtio'>\n"
             "      <backend model='random'>/dev/urandom</backend>\n"
             "    </rng>\n"
             "  </devices>\n"
             "</domain>\n",
             name, (unsigned long long)(p->a->memory / MIB), (unsigned long long)p->a->cpus, path);
    free(path);
    free(name);
}

static void nomad_write(struct buf *b, const struct place *p)
{
    char *name = quoted(p->a->name), *path = quoted(p->path);
    buf_addf(b, "job %s {\n  datacenters = [\"*\"]\n  type        = \"service\"\n\n", name);
    buf_addf(b, "  group %s {\n", name);
    if (p->port_count)
        buf_addf(b, "    network {\n");
    for (size_t i = 0; i < p->port_count; i++)
        buf_addf(b, "      port \"p%u\" {\n        static = %u\n      }\n", p->ports[i],
                 p->ports[i]);
    if (p->port_count)
        buf_addf(b, "    }\n\n");
    buf_addf(b,
             "    task %s {\n      driver = \"qemu\"\n\n      config {\n"
             "        image_path      = %s\n        drive_interface = \"virtio\"\n"
             "        accelerator     = \"kvm\"\n"
             "        args            = [\"-device\", \"virtio-rng-pci\"]\n",
             name, path);
    if (p->port_count)
        buf_addf(b, "        port_map {\n");
    for (size_t i = 0; i < p->port_count; i++)
        buf_addf(b, "          p%u = %u\n", p->ports[i], p->ports[i]);
    if (p->port_count)
        buf_addf(b, "        }\n");
    buf_addf(b,
             "      }\n\n      resources {\n        cpu    = %llu\n        memory = %llu\n"
             "      }\n    }\n  }\n}\n",
             (unsigned long long)p->a->cpus * 500, (unsigned long long)(p->a->memory / MIB));
    free(path);
    free(name);
}

static void kubevirt_write(struct buf *b, const struct place *p)
{
    char *name = quoted(p->a->name);
    buf_addf(b,
             "apiVersion: kubevirt.io/v1\n"
             "kind: VirtualMachine\n"
             "metadata:\n"
             "  name: %s\n"
             "spec:\n"
             "  runStrategy: Always\n"
             "  template:\n"
             "    metadata:\n"
             "      labels:\n"
             "        kubevirt.io/vm: %s\n"
             "    spec:\n"
             "      domain:\n"
             "        cpu:\n"
             "          cores: %llu\n"
             "        memory:\n"
             "          guest: \"%lluMi\"\n"
             "        devices:\n"
             "          rng: {}\n"
             "          disks:\n"
             "            - name: root\n"
             "              disk:\n"
             "                bus: virtio\n"
             "          interfaces:\n"
             "            - name: default\n"
             "              model: virtio\n"
             "              masquerade: {}\n",
             name, name, (unsigned long long)p->a->cpus, (unsigned long long)(p->a->memory / MIB));
    if (p->port_count)
        buf_addf(b, "              ports:\n");
    for (size_t i = 0; i < p->port_count; i++)
        buf_addf(b, "                - port: %u\n", p->ports[i]);
    buf_addf(b,
             "      networks:\n"
             "        - name: default\n"
             "          pod: {}\n"
             "      volumes:\n"
             "        - name: root\n"
             "          containerDisk:\n"
             "            image: \"REGISTRY/%s:latest\" # %s%s%s\n",
             p->a->name,
             p->format == FORMAT_CONTAINER ? "skopeo copy oci-archive:"
                                           : "what was built of the Containerfile",
             p->format == FORMAT_CONTAINER ? p->file : "",
             p->format == FORMAT_CONTAINER ? " docker://REGISTRY/..." : "");
    free(name);
}

static void containerfile_write(struct buf *b, const struct place *p)
{
    buf_addf(b, "FROM scratch\nADD --chown=107:107 [\"%s\", \"/disk/\"]\n", p->file);
}

/* One of the files of a directory; freed with free(). */
static char *part_path(const struct place *p, const char *name)
{
    return path_join(p->path, name);
}

static char *part_quoted(const struct place *p, const char *name)
{
    char *path = part_path(p, name), *text = quoted(path);
    free(path);
    return text;
}

static void firecracker_write(struct buf *b, const struct place *p)
{
    char *kernel = part_quoted(p, DIRECT_KERNEL), *manifest = part_quoted(p, DIRECT_MANIFEST),
         *root = part_quoted(p, DIRECT_ROOT);
    buf_addf(b,
             "{\n"
             "  \"boot-source\": {\n"
             "    \"kernel_image_path\": %s,\n"
             "    \"initrd_path\": %s,\n"
             "    \"boot_args\": \"\"\n"
             "  },\n"
             "  \"drives\": [\n"
             "    {\n"
             "      \"drive_id\": \"root\",\n"
             "      \"path_on_host\": %s,\n"
             "      \"is_root_device\": false,\n"
             "      \"is_read_only\": false\n"
             "    }\n"
             "  ],\n"
             "  \"machine-config\": {\n"
             "    \"vcpu_count\": %llu,\n"
             "    \"mem_size_mib\": %llu\n"
             "  },\n"
             "  \"network-interfaces\": [\n"
             "    {\n"
             "      \"iface_id\": \"eth0\",\n"
             "      \"host_dev_name\": \"tap0\"\n"
             "    }\n"
             "  ],\n"
             "  \"entropy\": {}\n"
             "}\n",
             kernel, manifest, root, (unsigned long long)p->a->cpus,
             (unsigned long long)(p->a->memory / MIB));
    free(kernel);
    free(manifest);
    free(root);
}

#define TAP_LINES                                                                                  \
    "# tap0 is a tap device with a DHCP server behind it, or build with an address (--ip).\n"      \
    "# Nobody has tried this with %s yet: it follows its documentation; with QEMU\n"               \
    "# the same kernel starts from the same files in the same way (PVH).\n"

static void firecracker_commands(struct buf *b, const struct place *p)
{
    char *json = alloc_printf("%s.firecracker.json", p->file);
    buf_addf(b, "# Firecracker 1.12 or later, which starts kernels by PVH.\n" TAP_LINES,
             "Firecracker");
    LINE(b, "firecracker", "--no-api", "--config-file", json);
    free(json);
}

static void cloud_hypervisor_write(struct buf *b, const struct place *p)
{
    char *kernel = part_path(p, DIRECT_KERNEL), *manifest = part_path(p, DIRECT_MANIFEST);
    char *root = part_path(p, DIRECT_ROOT), *disk = alloc_printf("path=%s", root);
    char *cpus = alloc_printf("boot=%llu", (unsigned long long)p->a->cpus);
    char *memory = alloc_printf("size=%lluM", (unsigned long long)(p->a->memory / MIB));
    buf_addf(b, TAP_LINES, "Cloud Hypervisor");
    LINE(b, "cloud-hypervisor", "--kernel", kernel, "--initramfs", manifest, "--cpus", cpus,
         "--memory", memory, "--disk", disk, "--net", "tap=tap0", "--rng", "src=/dev/urandom",
         "--serial", "tty", "--console", "off");
    free(kernel);
    free(manifest);
    free(root);
    free(disk);
    free(cpus);
    free(memory);
}

static void gcp_write(struct buf *b, const struct place *p)
{
    char *uri = alloc_printf("gs://BUCKET/%s", p->file);
    char *source = alloc_printf("--source-uri=%s", uri),
         *image = alloc_printf("--image=%s", p->a->name);
    LINE(b, "gcloud", "storage", "cp", p->file, uri);
    LINE(b, "gcloud", "compute", "images", "create", p->a->name, source,
         "--guest-os-features=UEFI_COMPATIBLE,VIRTIO_SCSI_MULTIQUEUE");
    LINE(b, "gcloud", "compute", "instances", "create", p->a->name, image,
         "--machine-type=e2-micro", "--network-interface=nic-type=VIRTIO_NET");
    free(image);
    free(source);
    free(uri);
}

static void openstack_write(struct buf *b, const struct place *p)
{
    LINE(b, "openstack", "image", "create", "--disk-format", "qcow2", "--container-format", "bare",
         "--property", "hw_disk_bus=virtio", "--property", "hw_vif_model=virtio", "--property",
         "hw_rng_model=virtio", "--file", p->file, p->a->name);
    LINE(b, "openstack", "server", "create", "--image", p->a->name, "--flavor", "FLAVOR",
         "--network", "NETWORK", p->a->name);
}

static void proxmox_write(struct buf *b, const struct place *p)
{
    char *memory = alloc_printf("%llu", (unsigned long long)(p->a->memory / MIB));
    char *cores = alloc_printf("%llu", (unsigned long long)p->a->cpus);
    char *disk = alloc_printf("local-lvm:0,import-from=%s", p->path);
    LINE(b, "qm", "create", "VMID", "--name", p->a->name, "--memory", memory, "--cores", cores,
         "--ostype", "other", "--serial0", "socket", "--rng0", "source=/dev/urandom", "--net0",
         "virtio,bridge=vmbr0", "--virtio0", disk, "--boot", "order=virtio0");
    LINE(b, "qm", "start", "VMID");
    free(disk);
    free(cores);
    free(memory);
}

static void virtualbox_write(struct buf *b, const struct place *p)
{
    LINE(b, "VBoxManage", "import", p->file);
    LINE(b, "VBoxManage", "startvm", p->a->name, "--type", "headless");
}

static void vsphere_write(struct buf *b, const struct place *p)
{
    buf_addf(
        b, "# The machine has a disk at an AHCI controller and an e1000e card, as the kernel has\n"
           "# drivers for them. Nobody has tried this with vSphere yet.\n");
    LINE(b, "govc", "import.ova", "-name", p->a->name, p->file);
    LINE(b, "govc", "vm.power", "-on", p->a->name);
}

static void digitalocean_write(struct buf *b, const struct place *p)
{
    LINE(b, "doctl", "compute", "image", "create", p->a->name, "--image-url", "https://HOST/FILE",
         "--region", "REGION");
    LINE(b, "doctl", "compute", "droplet", "create", p->a->name, "--image", "IMAGE", "--size",
         "s-1vcpu-512mb-10gb", "--region", "REGION");
}

static void vultr_write(struct buf *b, const struct place *p)
{
    (void)p;
    LINE(b, "vultr-cli", "snapshot", "create-url", "--url", "https://HOST/FILE");
    LINE(b, "vultr-cli", "instance", "create", "--snapshot", "SNAPSHOT", "--plan", "vc2-1c-1gb",
         "--region", "REGION");
}

static void hetzner_write(struct buf *b, const struct place *p)
{
    LINE(b, "hcloud", "server", "create", "--name", p->a->name, "--type", "cx22", "--image",
         "debian-12", "--start-after-create=false");
    LINE(b, "hcloud", "server", "enable-rescue", p->a->name);
    LINE(b, "hcloud", "server", "poweron", p->a->name);
    buf_addf(b, "ssh root@ADDRESS 'dd of=/dev/sda bs=1M conv=fsync' < ");
    LINE(b, p->file);
    LINE(b, "hcloud", "server", "reset", p->a->name);
}

static const struct target targets[] = {
    {"cloud-hypervisor", FORMAT_DIRECT, ".cloud-hypervisor.sh", cloud_hypervisor_write, NULL, NULL,
     NULL},
    {"do", FORMAT_QCOW2, ".do.sh", digitalocean_write, NULL, NULL, NULL},
    {"firecracker", FORMAT_DIRECT, ".firecracker.json", firecracker_write, ".firecracker.sh",
     firecracker_commands, NULL},
    {"gcp", FORMAT_GCP, ".gcp.sh", gcp_write, NULL, NULL, NULL},
    {"hetzner", FORMAT_RAW, ".hetzner.sh", hetzner_write, NULL, NULL, NULL},
    {"kubevirt", FORMAT_CONTAINER, ".kubevirt.yaml", kubevirt_write, ".Containerfile",
     containerfile_write, NULL},
    {"libvirt", FORMAT_QCOW2, ".libvirt.xml", libvirt_write, NULL, NULL, NULL},
    {"nomad", FORMAT_QCOW2, ".nomad.hcl", nomad_write, NULL, NULL, NULL},
    {"openstack", FORMAT_QCOW2, ".openstack.sh", openstack_write, NULL, NULL, NULL},
    {"proxmox", FORMAT_QCOW2, ".proxmox.sh", proxmox_write, NULL, NULL, NULL},
    {"virtualbox", FORMAT_OVA, ".virtualbox.sh", virtualbox_write, NULL, NULL, NULL},
    {"vsphere", FORMAT_OVA, ".vsphere.sh", vsphere_write, NULL, NULL, NULL},
    {"vultr", FORMAT_RAW, ".vultr.sh", vultr_write, NULL, NULL, NULL},
    {"aws", FORMAT_RAW, NULL, NULL, NULL, NULL, "network cards of Amazon's own (ENA)"},
    {"azure", FORMAT_VHD, NULL, NULL, NULL, NULL, "disks and network cards of Hyper-V (VMBus)"},
    {"hyperv", FORMAT_VHDX, NULL, NULL, NULL, NULL, "disks and network cards of Hyper-V (VMBus)"},
};
#define TARGETS (sizeof targets / sizeof targets[0])

static void target_unknown(const char *name, struct err *err)
{
    const char *names[TARGETS];
    struct buf list = {0};
    for (size_t i = 0; i < TARGETS; i++) {
        names[i] = targets[i].name;
        if (!targets[i].lacks)
            buf_addf(&list, "%s%s", list.size ? ", " : "", targets[i].name);
    }
    const char *near = nearest_word(name, names, TARGETS);
    err_set(err, OPS_EXIT_USAGE, NULL, "there is no target %s", name);
    if (near)
        err_hint(err, "did you mean %s? There are %s", near, list.data);
    else
        err_hint(err, "there are %s", list.data);
    buf_free(&list);
}

const struct target *target_find(const char *name, struct err *err)
{
    for (size_t i = 0; i < TARGETS; i++) {
        const struct target *t = &targets[i];
        if (strcmp(t->name, name) != 0)
            continue;
        if (!t->lacks)
            return t;
        err_set(err, OPS_EXIT_USAGE, NULL, "machines of %s have %s, which the kernel cannot use",
                name, t->lacks);
        err_hint(err, "--format %s writes such a disk all the same", format_name(t->format));
        return NULL;
    }
    target_unknown(name, err);
    return NULL;
}

enum disk_format target_format(const struct target *t, const char *output)
{
    bool bare = t->format == FORMAT_CONTAINER && format_suffix(FORMAT_QCOW2, output);
    return bare ? FORMAT_QCOW2 : t->format;
}

bool target_virtio(const struct target *t)
{
    return t->write != vsphere_write;
}

bool target_takes(const struct target *t, enum disk_format format, const char *output,
                  struct err *err)
{
    bool direct = t->format == FORMAT_DIRECT;
    if (direct != (format == FORMAT_DIRECT))
        return err_set(err, OPS_EXIT_USAGE, "leave out --format", "%s does not start %s images",
                       t->name, format_name(format));
    if (direct && direct_is_tar(output))
        return err_set(err, OPS_EXIT_USAGE, "choose the name of a directory",
                       "%s starts files, not an archive of them", t->name);
    return true;
}

static bool file_write(void (*write)(struct buf *b, const struct place *p), const struct place *p,
                       const char *output, const char *ending, struct err *err)
{
    struct buf b = {0};
    char *path = alloc_printf("%s%s", output, ending);
    write(&b, p);
    bool ok = outfile_text(path, b.data, err);
    if (ok)
        puts(path);
    buf_free(&b);
    free(path);
    return ok;
}

bool target_files(const struct target *t, enum disk_format format, const char *output,
                  const struct appliance *a, const unsigned *ports, size_t port_count,
                  struct err *err)
{
    char *absolute = path_absolute(output);
    const struct place p = {.file = path_basename(output),
                            .path = absolute,
                            .format = format,
                            .a = a,
                            .ports = ports,
                            .port_count = port_count};
    bool ok = file_write(t->write, &p, output, t->ending, err) &&
              (!t->more || format == FORMAT_CONTAINER ||
               file_write(t->more, &p, output, t->more_ending, err));
    free(absolute);
    return ok;
}
