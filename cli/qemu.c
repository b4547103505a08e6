/* SPDX-License-Identifier: Apache-2.0 */
/* The one QEMU command line: see qemu.h. */
#include "qemu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "child.h"
#include "debug.h"
#include "instance.h"
#include "ops/control.h"
#include "ops/exit.h"
#include "script.h"

#define QEMU_NAME "qemu-system-x86_64"

char *qemu_find(struct err *err)
{
    const char *given = getenv("OPS_QEMU");
    bool path = given && strchr(given, '/');
    char *found =
        path ? alloc_string(given) : script_find(NULL, given && *given ? given : QEMU_NAME);
    if (found && access(found, X_OK) == 0)
        return found;
    err_set(err, OPS_EXIT_FAILED, "install it (`apt install qemu-system-x86`), or set OPS_QEMU",
            "cannot find QEMU (%s)", given && *given ? given : QEMU_NAME " in PATH");
    free(found);
    return NULL;
}

char *qemu_version(const char *qemu)
{
    struct strlist argv = {0};
    struct buf said = {0};
    struct err err = {0};
    strlist_add(&argv, qemu);
    strlist_add(&argv, "--version");
    bool ok = child_collect(&argv, NULL, 0, &said, &err);
    char *line = ok ? alloc_bytes(said.data, strcspn(said.data, "\n")) : NULL;
    err_free(&err);
    buf_free(&said);
    strlist_free(&argv);
    return line;
}

/* A file name as an option value: QEMU wants commas doubled. */
static char *comma_escape(const char *name)
{
    struct buf b = {0};
    for (; *name; name++)
        buf_add(&b, *name == ',' ? ",," : name, *name == ',' ? 2 : 1);
    buf_add(&b, "", 0);
    return b.data;
}

/* The value of `file=`: its name, or the one of a set that holds the open file. Freed with free().
 */
static char *file_word(const char *name, int fd, struct strlist *argv)
{
    if (fd < 0)
        return comma_escape(name);
    char *escaped = comma_escape(name);
    strlist_add(argv, "-add-fd");
    strlist_addf(argv, "fd=%d,set=%d,opaque=%s", fd, fd, escaped);
    free(escaped);
    return alloc_printf("/dev/fdset/%d", fd);
}

static void arguments(struct strlist *argv, const char *text)
{
    strlist_split(argv, text, " ");
}

static void machine_arguments(const struct machine *m, struct strlist *argv)
{
    /* microvm has no ACPI tables to parse; the PIT stays to calibrate the TSC where there is no
     * kvmclock, the RTC for the wall clock. Without force-legacy=false its virtio-mmio slots
     * would be the pre-1.0 kind. */
    if (m->q35)
        arguments(argv, "-M q35,smm=off,vmport=off");
    else
        arguments(argv, "-M microvm,acpi=off,pic=on,pit=on,rtc=on,isa-serial=on "
                        "-global virtio-mmio.force-legacy=false");
    arguments(argv, "-nodefaults -no-user-config -display none -no-reboot");
    arguments(argv, "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
                    "resourcecontrol=deny");
    /* TCG's `rep movsb` is far slower than vector loops; without erms libraries do not use it. */
    arguments(argv, m->kvm ? "-accel kvm -cpu host" : "-accel tcg -cpu max,-erms");
    strlist_add(argv, "-m");
    strlist_addf(argv, "%lluM", (unsigned long long)(m->memory >> 20));
    strlist_add(argv, "-smp");
    strlist_addf(argv, "%u", m->cpus);
}

/* A socket where QEMU listens: one that does so already, or the name of one to make. */
static void socket_argument(const char *id, int fd, const char *dir, const char *name,
                            struct strlist *argv)
{
    char *escaped = comma_escape(dir);
    strlist_add(argv, "-chardev");
    if (fd >= 0)
        strlist_addf(argv, "socket,id=%s,fd=%d,server=on,wait=off", id, fd);
    else
        strlist_addf(argv, "socket,id=%s,path=%s/%s,server=on,wait=off", id, escaped, name);
    free(escaped);
}

/* The monitor, and requests to the kernel: their port stands before the control channel's. */
static void instance_arguments(const struct machine *m, struct strlist *argv)
{
    if (!m->instance)
        return;
    socket_argument("qmp", m->handover.qmp, m->instance, INSTANCE_QMP, argv);
    arguments(argv, "-mon chardev=qmp,mode=control");
    socket_argument(OPS_PORT_INSTANCE, m->handover.guest, m->instance, INSTANCE_GUEST, argv);
    arguments(argv, "-device virtserialport,chardev=" OPS_PORT_INSTANCE ",name=" OPS_PORT_INSTANCE);
}

static void stream_arguments(const struct machine *m, struct strlist *argv)
{
    static const char *const ports[] = {
        [STREAM_STDIN] = OPS_PORT_STDIN,
        [STREAM_STDOUT] = OPS_PORT_STDOUT,
        [STREAM_STDERR] = OPS_PORT_STDERR,
        [STREAM_CONTROL] = OPS_PORT_CONTROL,
    };
    strlist_add(argv, "-chardev");
    strlist_addf(argv, "socket,id=serial,fd=%d", m->fds[STREAM_SERIAL]);
    arguments(argv, "-serial chardev:serial -device");
    strlist_addf(argv, "virtio-serial-%s,max_ports=%d", m->q35 ? "pci" : "device",
                 m->instance ? 7 : 6);
    instance_arguments(m, argv);
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        strlist_add(argv, "-chardev");
        strlist_addf(argv, "socket,id=%s,fd=%d", ports[i], m->fds[i]);
        strlist_add(argv, "-device");
        strlist_addf(argv, "virtserialport,chardev=%s,name=%s", ports[i], ports[i]);
    }
}

/* What only a developer asks for: a core file, a debugger. */
static void debug_arguments(const struct machine *m, struct strlist *argv)
{
    char *core = m->core ? file_word(m->core, m->handover.core, argv) : NULL;
    if (core) {
        strlist_add(argv, "-chardev");
        strlist_addf(argv, "file,id=core,path=%s", core);
        arguments(argv, "-device virtserialport,chardev=core,name=" OPS_PORT_CORE);
    }
    if (m->debug) {
        socket_argument("gdb", m->handover.gdb, m->debug, DEBUG_SOCKET, argv);
        arguments(argv, "-gdb chardev:gdb -S");
    }
    free(core);
}

static void volume_arguments(const struct machine *m, const char *bus, struct strlist *argv)
{
    for (size_t i = 0; i < m->mounts->count; i++) {
        const struct mount *v = &m->mounts->items[i];
        char *file = file_word(v->file, m->handover.all ? m->handover.volumes[i] : -1, argv);
        strlist_add(argv, "-drive");
        /* An open file can be written from the start: QEMU must not try to read it only first. */
        strlist_addf(argv, "id=volume%zu,if=none,format=raw,%s%sfile=%s", i,
                     v->read_only ? "readonly=on," : "discard=unmap,",
                     m->handover.all && !v->read_only ? "auto-read-only=off," : "", file);
        strlist_add(argv, "-device");
        strlist_addf(argv, "virtio-blk-%s,drive=volume%zu", bus, i);
        free(file);
    }
}

/* Files that the program makes belong to who runs QEMU, unless that is root, who may give them to
 * the program's user (`none`: as passthrough, but where that fails it does not matter). */
static void share_arguments(const struct machine *m, const char *bus, struct strlist *argv)
{
    for (size_t i = 0; i < m->shares->count; i++) {
        const struct share *s = &m->shares->items[i];
        char *host = comma_escape(s->host);
        strlist_add(argv, "-fsdev");
        strlist_addf(argv,
                     "local,id=" SHARE_TAG "%zu,security_model=none,multidevs=remap,%spath=%s", i,
                     s->read_only ? "readonly=on," : "", host);
        strlist_add(argv, "-device");
        strlist_addf(argv, "virtio-9p-%s,fsdev=" SHARE_TAG "%zu,mount_tag=" SHARE_TAG "%zu", bus, i,
                     i);
        free(host);
    }
}

bool qemu_can_share(const char *qemu, struct err *err)
{
    struct strlist argv = {0};
    struct buf said = {0};
    struct err why = {0};
    strlist_add(&argv, qemu);
    strlist_split(&argv, "-device virtio-9p-device,help", " ");
    bool ok = child_collect(&argv, NULL, 0, &said, &why) ||
              err_set(err, OPS_EXIT_FAILED, "install one with virtio-9p, or name it with OPS_QEMU",
                      "this QEMU cannot share directories (%s)", qemu);
    err_free(&why);
    buf_free(&said);
    strlist_free(&argv);
    return ok;
}

void qemu_command(const struct machine *m, struct strlist *argv)
{
    const char *bus = m->q35 ? "pci" : "device";
    char kernel[40];
    snprintf(kernel, sizeof kernel, "/proc/self/fd/%d", m->handover.kernel);
    strlist_add(argv, m->qemu);
    machine_arguments(m, argv);
    strlist_add(argv, "-kernel");
    strlist_add(argv, m->handover.all ? kernel : m->kernel);
    strlist_add(argv, "-initrd");
    strlist_add(argv, m->manifest);
    char *root = file_word(m->root, m->handover.root, argv);
    strlist_add(argv, "-drive");
    /* The image is shared by all runs: what one writes goes to a file without a name. */
    strlist_addf(argv, "id=root,if=none,format=raw,%s,file=%s",
                 m->root_read_only ? "readonly=on" : "snapshot=on,cache=unsafe", root);
    free(root);
    strlist_add(argv, "-device");
    strlist_addf(argv, "virtio-blk-%s,drive=root", bus);
    volume_arguments(m, bus, argv);
    share_arguments(m, bus, argv);
    if (m->instance) {
        strlist_add(argv, "-device");
        strlist_addf(argv, "virtio-scsi-%s,id=" QEMU_SCSI, bus);
    }
    strlist_add(argv, "-device");
    strlist_addf(argv, "virtio-rng-%s", bus);
    if (m->balloon) {
        strlist_add(argv, "-device");
        strlist_addf(argv, "virtio-balloon-%s,free-page-reporting=on", bus);
    }
    network_arguments(m->network, bus, m->cpus, argv);
    stream_arguments(m, argv);
    debug_arguments(m, argv);
    strlist_add(argv, "-device");
    strlist_addf(argv, "isa-debug-exit,iobase=0x%x,iosize=4", OPS_DEBUG_EXIT_PORT);
}

static bool word_is_plain(const char *word)
{
    return *word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789@%+=:,./_-")];
}

char *qemu_shell_line(const struct strlist *argv)
{
    struct buf b = {0};
    for (size_t i = 0; i < argv->count; i++) {
        const char *word = argv->items[i];
        bool plain = word_is_plain(word);
        buf_addf(&b, "%s%s", i ? " " : "", plain ? "" : "'");
        for (; *word; word++) {
            if (*word == '\'')
                buf_addf(&b, "'\\''");
            else
                buf_add(&b, word, 1);
        }
        buf_addf(&b, "%s", plain ? "" : "'");
    }
    return b.data;
}
