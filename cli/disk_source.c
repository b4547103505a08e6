/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that are run: see disk_source.h. */
#include "disk_source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "gpt_table.h"
#include "hostpath.h"
#include "image_boot.h"
#include "image_store.h"
#include "image_verify.h"
#include "ops/exit.h"

bool disk_source_is(const char *word)
{
    uint8_t head[2 * GPT_SECTOR];
    struct err none = {0};
    char *path = image_store_find(word, &none);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is =
        fd >= 0 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head && gpt_marked(head);
    if (fd >= 0)
        close(fd);
    err_free(&none);
    free(path);
    return is || (!strchr(word, '/') && access(word, F_OK) < 0 && image_store_has(word));
}

/* Values of the manifest are set like keys of a configuration, so that their origin is known. */
static bool value_set(struct config *c, const struct config_source *s, const char *key,
                      const char *value, struct err *err)
{
    return config_set(c, config_key(key), s, value, err);
}

/* Keys that both have, a value each. */
static bool values_take(struct config *c, const struct image_boot *b, const struct config_source *s,
                        struct err *err)
{
    static const struct {
        const char *of_manifest, *of_config;
    } keys[] = {{"cwd", "Cwd"},
                {"hostname", "Hostname"},
                {"uid", "Uid"},
                {"gid", "Gid"},
                {"readonly_rootfs", "ReadonlyRootfs"},
                {"metadata", "Metadata"},
                {"user_data", "UserData"},
                {"metadata_required", "MetadataRequired"}};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof keys / sizeof keys[0]; i++) {
        struct strlist values = {0};
        image_boot_values(b, keys[i].of_manifest, &values);
        if (values.count)
            ok = value_set(c, s, keys[i].of_config, values.items[0], err);
        strlist_free(&values);
    }
    return ok;
}

static void environment_take(struct config *c, const struct image_boot *b, const char *origin)
{
    struct strlist values = {0};
    image_boot_values(b, "env", &values);
    for (size_t i = 0; i < values.count; i++) {
        char *entry = alloc_printf("Env.%.*s", (int)strcspn(values.items[i], "="), values.items[i]);
        config_set_env(&c->env, values.items[i]);
        config_note_origin(c, entry, origin);
        free(entry);
    }
    strlist_free(&values);
}

static bool manifest_take(struct disk_source *d, const struct image_boot *b, struct config *c,
                          struct err *err)
{
    const struct config_source s = {.name = d->path, .dir = "/", .literal = true};
    struct strlist program = {0}, aslr = {0};
    image_boot_values(b, "program", &program);
    image_boot_values(b, "arg", &d->args);
    image_boot_values(b, "aslr", &aslr);
    image_boot_values(b, "mount", &c->mounts);
    image_boot_values(b, "ntp", &c->ntp_servers);
    bool ok = program.count || err_set(err, OPS_EXIT_FAILED, "build it again",
                                       "the manifest of %s names no program", d->path);
    if (ok) {
        d->program = alloc_string(program.items[0]);
        if (!d->args.count)
            strlist_add(&d->args, d->program);
        c->no_aslr |= aslr.count && strcmp(aslr.items[0], "false") == 0;
        environment_take(c, b, d->path);
        ok = values_take(c, b, &s, err);
    }
    strlist_free(&program);
    strlist_free(&aslr);
    return ok;
}

bool disk_source_open(struct disk_source *d, const char *word, struct config *c, struct err *err)
{
    struct image_boot b = {0};
    char *found = image_store_find(word, err);
    *d = (struct disk_source){.path = path_absolute(found)};
    bool ok = image_sound(found, &b, err) && manifest_take(d, &b, c, err);
    image_boot_free(&b);
    free(found);
    return ok;
}

void disk_source_close(struct disk_source *d)
{
    free(d->path);
    free(d->program);
    strlist_free(&d->args);
    *d = (struct disk_source){0};
}
