/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine can reach: see explain.h. It says what QEMU's command line gives, no more. */
#include "explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "terminal.h"

static void row(const char *word, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void row(const char *word, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = alloc_vprintf(fmt, ap);
    va_end(ap);
    printf("%-12s %s\n", word, text);
    free(text);
}

static void files_explain(const struct plan *p)
{
    size_t files = 0;
    const char *writing = p->manifest.readonly_rootfs ? "nothing can be written to it"
                                                      : "what is written ends with the machine";
    struct tree_entry **all = tree_entries(&p->tree);
    for (size_t i = 0; all[i]; i++)
        files += all[i]->kind == TREE_FILE || all[i]->source != NULL;
    free(all);
    if (p->disk)
        row("root", "the disk %s; %s", p->disk->path, writing);
    else
        row("root", "a copy of %zu files and directories of this host (--list-files); %s", files,
            writing);
    for (size_t i = 0; i < p->mounts.count; i++) {
        const struct mount *m = &p->mounts.items[i];
        row("volume", "%s at %s: %s", m->name, m->path,
            m->read_only ? "can be read" : "can be written, and what is written stays");
    }
    for (size_t i = 0; i < p->shares.count; i++) {
        const struct share *s = &p->shares.items[i];
        row("share", "%s at %s: this host's own files can be %s", s->host, s->path,
            s->read_only ? "read" : "read and written");
    }
}

static void card_explain(const struct nic *n)
{
    switch (n->kind) {
    case NIC_USER:
        row("network", "all that this user can connect to from here, also this host's own ports "
                       "(as 10.0.2.2); --net none gives none");
        break;
    case NIC_TAP:
        row("network", "whatever the interface %s leads to", n->target);
        break;
    case NIC_TAP_MADE:
        row("network", "an interface of this host that is made for it: this host, and what it "
                       "routes there");
        break;
    case NIC_BRIDGE:
        row("network", "all machines and networks behind this host's bridge %s", n->target);
        break;
    case NIC_LAN:
        row("network",
            "the machines of the network %s, and the outside by NAT unless it was made "
            "without",
            n->target);
        break;
    }
}

static void network_explain(const struct network *n)
{
    for (size_t i = 0; i < n->nic_count; i++)
        card_explain(&n->nics[i]);
    if (!n->nic_count)
        row("network", "none");
    for (size_t i = 0; i < n->forwards.count; i++) {
        const struct forward *f = &n->forwards.items[i];
        row("port", "%s:%u of this host leads to its %s port %u", f->address, f->host,
            f->udp ? "UDP" : "TCP", f->guest);
    }
}

static void variables_explain(const struct plan *p)
{
    const struct strlist *env = &p->manifest.env, *secrets = &p->config->secrets;
    struct strlist names = {0};
    for (size_t i = 0; i < env->count + secrets->count; i++) {
        const char *entry = i < env->count ? env->items[i] : secrets->items[i - env->count];
        strlist_addf(&names, "%.*s", (int)strcspn(entry, "="), entry);
    }
    char *list = alloc_string("");
    for (size_t i = 0; i < names.count; i++) {
        char *longer = alloc_printf("%s%s%s", list, i ? ", " : "", names.items[i]);
        free(list);
        list = longer;
    }
    row("variables", "%s", list);
    free(list);
    strlist_free(&names);
}

void explain_print(const struct machine *m, const struct plan *p, const struct network *n)
{
    row("program", "%s, as user %llu of the guest, with no other program", p->program,
        (unsigned long long)p->manifest.uid);
    row("machine", "%s: %llu MiB, %u CPU%s; %s", m->q35 ? "q35" : "microvm",
        (unsigned long long)(m->memory >> 20), m->cpus, m->cpus == 1 ? "" : "s",
        m->kvm ? "KVM keeps it apart from this host"
               : "emulated, which keeps mistakes apart but not attacks");
    files_explain(p);
    network_explain(n);
    row("streams", "standard input (%s), output (%s) and error (%s)", terminal_kind(0),
        terminal_kind(1), terminal_kind(2));
    variables_explain(p);
    row("devices", "disks, network, console and random numbers (virtio), a clock; no display, USB "
                   "or sound");
    row("emulator", "%s in its own seccomp sandbox: it cannot start programs or gain rights",
        m->qemu);
    char *user = confine_user_text(&m->confine), *limits = confine_limits_text(&m->confine);
    row("user", "the emulator's: %s", user);
    row("limits", "the emulator's: %s", limits);
    free(limits);
    free(user);
}
