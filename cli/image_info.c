/* SPDX-License-Identifier: Apache-2.0 */
/* `ops image info`: see image_info.h. */
#include "image_info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hostpath.h"
#include "image_boot.h"
#include "image_files.h"
#include "image_store.h"
#include "outfile.h"
#include "sbom.h"
#include "treemap.h"

#define LARGEST 10 /* directories that people are shown */

const struct option image_info_rows[IMAGE_INFO_ROWS] = {
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, json),
     .help = "as JSON, with all directories"},
    {.name = "sbom",
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, sbom),
     .argument = "FILE",
     .help = "write what it is made of: SPDX 2.3, JSON"},
    {.name = "treemap",
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, treemap),
     .argument = "FILE",
     .help = "draw what takes how much room (SVG)"},
};

static void list_fill(const struct image_boot *b, const char *key, const char *name, cJSON *o)
{
    struct strlist values = {0};
    image_boot_values(b, key, &values);
    cJSON *list = cJSON_AddArrayToObject(o, name);
    for (size_t i = 0; i < values.count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(values.items[i]));
    strlist_free(&values);
}

static void boot_fill(const struct image_boot *b, cJSON *o)
{
    struct strlist program = {0};
    image_boot_values(b, "program", &program);
    cJSON_AddStringToObject(o, "kernel", b->kernel ? b->kernel : "unknown");
    cJSON_AddStringToObject(o, "program", program.count ? program.items[0] : "");
    list_fill(b, "arg", "arguments", o);
    list_fill(b, "env", "environment", o);
    list_fill(b, "mount", "mounts", o);
    strlist_free(&program);
}

static void digest_add(cJSON *o, const char *name, const unsigned char digest[DIGEST_SIZE])
{
    char text[DIGEST_TEXT];
    digest_text(digest, text);
    cJSON_AddStringToObject(o, name, text);
}

/* Of the root what was recorded: it may have been written to since. */
static void digests_fill(const struct image_boot *b, cJSON *o)
{
    digest_add(o, "kernelSHA", b->kernel_digest);
    digest_add(o, "manifestSHA", b->manifest_digest);
    if (b->recorded)
        digest_add(o, "builtRootSHA", b->built.root);
    if (b->built.efi_signed)
        cJSON_AddBoolToObject(o, "efiSigned", true);
}

struct directory {
    char *path;
    uint64_t size; /* of all files below */
    size_t files;
};

struct directories {
    struct directory *items;
    size_t count;
};

/* Counts a file in the directory `path`, which is new or the last but a few. */
static void directory_count(struct directories *l, const char *path, size_t n, uint64_t size)
{
    size_t i = l->count;
    while (i > 0 && (strncmp(l->items[i - 1].path, path, n) != 0 || l->items[i - 1].path[n]))
        i--;
    if (i == 0) {
        if (l->count % 64 == 0)
            l->items = alloc_array(l->items, l->count + 64, sizeof *l->items);
        l->items[l->count++] = (struct directory){.path = alloc_bytes(path, n)};
        i = l->count;
    }
    l->items[i - 1].size += size;
    l->items[i - 1].files++;
}

static int by_size(const void *a, const void *b)
{
    const struct directory *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return strcmp(x->path, y->path);
}

static void directories_find(struct directories *l, const struct image_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const char *path = files->items[i].path;
        for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/'))
            directory_count(l, path, (size_t)(slash - path), files->items[i].size);
    }
    if (l->count)
        qsort(l->items, l->count, sizeof *l->items, by_size);
}

static void directories_fill(const struct directories *l, bool json, cJSON *o)
{
    cJSON *list = cJSON_AddArrayToObject(o, "directories");
    for (size_t i = 0; i < l->count && (json || i < LARGEST); i++) {
        const struct directory *d = &l->items[i];
        char *size = verb_size((double)d->size);
        char *text = alloc_printf("%10s  %s", size, d->path);
        cJSON *item = json ? cJSON_CreateObject() : cJSON_CreateString(text);
        if (json) {
            cJSON_AddStringToObject(item, "path", d->path);
            cJSON_AddNumberToObject(item, "sizeBytes", (double)d->size);
            cJSON_AddNumberToObject(item, "files", (double)d->files);
        }
        cJSON_AddItemToArray(list, item);
        free(text);
        free(size);
    }
}

static void directories_free(struct directories *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i].path);
    free(l->items);
}

/* The files that were asked for. */
static bool files_write(const struct verb_request *r, const char *file,
                        const struct image_files *files, struct err *err)
{
    struct buf sbom = {0}, map = {0};
    const char *base = path_basename(file);
    char *name = alloc_bytes(base, strcspn(base, "."));
    bool ok = true;
    if (r->sbom)
        ok =
            sbom_make(&sbom, name, files, NULL, true, err) && outfile_text(r->sbom, sbom.data, err);
    if (ok && r->treemap) {
        treemap_draw(&map, base, files);
        ok = outfile_text(r->treemap, map.data, err);
    }
    free(name);
    buf_free(&sbom);
    buf_free(&map);
    return ok;
}

static void info_print(const struct verb_request *r, const char *file, bool disk,
                       const struct image_boot *boot, const struct ext4file *f,
                       const struct image_files *files)
{
    struct directories l = {0};
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", file);
    cJSON_AddStringToObject(o, "kind", disk ? "disk" : "filesystem");
    if (disk) {
        boot_fill(boot, o);
        digests_fill(boot, o);
    }
    verb_describe(f, o);
    directories_find(&l, files);
    directories_fill(&l, r->json, o);
    verb_print(r, o);
    cJSON_Delete(o);
    directories_free(&l);
}

bool image_info(const struct verb_request *r, char **operands, size_t count, int *status,
                struct err *err)
{
    struct image_boot boot = {0};
    struct image_files files = {0};
    struct ext4file f;
    bool disk = false;
    (void)count, (void)status;
    if (!verb_open(r, operands[0], EXT4FILE_READ, &f, err))
        return false;
    char *file = image_store_find(operands[0], err);
    bool ok = image_boot_read(file, &boot, &disk, err) &&
              image_files_of_root(&files, &f, r->sbom != NULL, err) &&
              files_write(r, file, &files, err);
    if (ok)
        info_print(r, file, disk, &boot, &f, &files);
    image_files_free(&files);
    image_boot_free(&boot);
    ext4file_abandon(&f);
    free(file);
    return ok;
}
