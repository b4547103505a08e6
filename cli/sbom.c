/* SPDX-License-Identifier: Apache-2.0 */
/* What an image is made of: see sbom.h. (SPDX 2.3, §6 to §11.) */
#include "sbom.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "dpkg.h"
#include "hostpath.h"
#include "json.h"
#include "package_make.h"

#define NONE       "NOASSERTION"
#define IMAGE_ID   "SPDXRef-Image"
#define ORIGIN_MAX ((size_t)4 << 20)

struct document {
    cJSON *packages, *files, *relations;
    char *distribution;      /* "debian" */
    struct strlist owners;   /* a file each */
    struct strlist packaged; /* packages that own one, sorted */
    struct strlist versions; /* theirs: dpkg_versions() */
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void hex_add(cJSON *o, const char *name, const unsigned char *bytes, size_t n)
{
    char text[2 * DIGEST_SIZE + 1];
    sodium_bin2hex(text, sizeof text, bytes, n);
    cJSON_AddStringToObject(o, name, text);
}

static void sum_add(cJSON *list, const char *algorithm, const unsigned char *bytes, size_t n)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "algorithm", algorithm);
    hex_add(o, "checksumValue", bytes, n);
    cJSON_AddItemToArray(list, o);
}

static void relation_add(struct document *d, const char *from, const char *how, const char *to)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "spdxElementId", from);
    cJSON_AddStringToObject(o, "relationshipType", how);
    cJSON_AddStringToObject(o, "relatedSpdxElement", to);
    cJSON_AddItemToArray(d->relations, o);
}

/* An identifier: letters, digits, dots and dashes. Freed with free(). */
static char *package_id(const char *name)
{
    char *id = alloc_printf("SPDXRef-Package-%s", name);
    for (char *c = id; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(".-", *c))
            *c = '-';
    return id;
}

/* The text as a part of a URL. */
static void escaped_add(struct buf *to, const char *text)
{
    for (; *text; text++)
        if (isalnum((unsigned char)*text) || strchr(".-_~", *text))
            buf_add(to, text, 1);
        else
            buf_addf(to, "%%%02X", (unsigned char)*text);
}

static cJSON *package_begin(const char *id, const char *name, const char *version)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "SPDXID", id);
    cJSON_AddStringToObject(o, "name", name);
    if (version)
        cJSON_AddStringToObject(o, "versionInfo", version);
    cJSON_AddStringToObject(o, "downloadLocation", NONE);
    cJSON_AddStringToObject(o, "licenseConcluded", NONE);
    cJSON_AddStringToObject(o, "licenseDeclared", NONE);
    cJSON_AddStringToObject(o, "copyrightText", NONE);
    return o;
}

/* A package of the distribution. `digest`: of its file; `architecture`: either may be NULL. */
static void package_add(struct document *d, const char *id, const char *name, const char *version,
                        const char *architecture, const char *digest)
{
    struct buf purl = {0};
    cJSON *o = package_begin(id, name, version), *list, *reference = cJSON_CreateObject();
    cJSON_AddBoolToObject(o, "filesAnalyzed", false);
    if (digest) {
        cJSON *sum = cJSON_CreateObject();
        list = cJSON_AddArrayToObject(o, "checksums");
        cJSON_AddStringToObject(sum, "algorithm", "SHA256");
        cJSON_AddStringToObject(sum, "checksumValue", digest);
        cJSON_AddItemToArray(list, sum);
    }
    buf_addf(&purl, "pkg:deb/%s/", d->distribution);
    escaped_add(&purl, name);
    buf_addf(&purl, "@");
    escaped_add(&purl, version);
    if (architecture)
        buf_addf(&purl, "?arch=%s", architecture);
    list = cJSON_AddArrayToObject(o, "externalRefs");
    cJSON_AddStringToObject(reference, "referenceCategory", "PACKAGE-MANAGER");
    cJSON_AddStringToObject(reference, "referenceType", "purl");
    cJSON_AddStringToObject(reference, "referenceLocator", purl.data);
    cJSON_AddItemToArray(list, reference);
    cJSON_AddItemToArray(d->packages, o);
    relation_add(d, IMAGE_ID, "DEPENDS_ON", id);
    buf_free(&purl);
}

/* The distribution of this host, as /etc/os-release calls it. Freed with free(). */
static char *distribution_name(void)
{
    struct err none = {0};
    struct strlist lines = {0};
    char *text = path_read("/etc/os-release", 65536, NULL, &none), *name = NULL;
    strlist_split(&lines, text ? text : "", "\n");
    for (size_t i = 0; i < lines.count && !name; i++)
        if (strncmp(lines.items[i], "ID=", 3) == 0)
            name = alloc_bytes(lines.items[i] + 3, strcspn(lines.items[i] + 3, "\" "));
    strlist_free(&lines);
    err_free(&none);
    free(text);
    return name ? name : alloc_string("debian");
}

/* Is the file on this host still what is in the image? */
static bool same_here(const struct image_file *f)
{
    unsigned char digest[DIGEST_SIZE];
    return digest_of_file(f->source, digest) && memcmp(digest, f->sha256, sizeof digest) == 0;
}

static bool owners_find(struct document *d, const struct image_files *files, bool verify,
                        struct err *err)
{
    struct strlist sources = {0}, all = {0};
    for (size_t i = 0; i < files->count; i++) {
        const struct image_file *f = &files->items[i];
        strlist_add(&sources, f->source && (!verify || same_here(f)) ? f->source : "/");
    }
    bool ok = dpkg_owners(&sources, &d->owners, err);
    for (size_t i = 0; i < sources.count && ok; i++) { /* not that of the root directory */
        if (strcmp(sources.items[i], "/") == 0)
            d->owners.items[i][0] = 0;
        if (d->owners.items[i][0])
            strlist_add(&all, d->owners.items[i]);
    }
    if (all.count)
        qsort(all.items, all.count, sizeof *all.items, by_text);
    for (size_t i = 0; i < all.count; i++)
        if (i == 0 || strcmp(all.items[i], all.items[i - 1]) != 0)
            strlist_add(&d->packaged, all.items[i]);
    strlist_free(&sources);
    strlist_free(&all);
    return ok && dpkg_versions(&d->packaged, &d->versions, err);
}

static void packaged_add(struct document *d)
{
    for (size_t i = 0; i < d->packaged.count && i < d->versions.count; i++) {
        struct strlist words = {0};
        char *id = package_id(d->packaged.items[i]);
        strlist_split(&words, d->versions.items[i], "\t");
        if (words.count == 3)
            package_add(d, id, words.items[0], words.items[1], words.items[2], NULL);
        strlist_free(&words);
        free(id);
    }
}

/* What a package of `ops pkg` was made of; which file came from which is not kept. */
static bool origin_add(struct document *d, const char *dir, struct err *err)
{
    struct err none = {0};
    char *path = path_join(dir, PACKAGE_ORIGIN);
    char *text = path_read(path, ORIGIN_MAX, NULL, &none); /* one that was brought has none */
    cJSON *o = text ? cJSON_Parse(text) : NULL, *p;
    bool ok = !text || o || err_set(err, 1, NULL, "%s is not JSON", path);
    cJSON_ArrayForEach(p, cJSON_GetObjectItem(o, "Packages"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(p, "Name"));
        const char *version = cJSON_GetStringValue(cJSON_GetObjectItem(p, "Version"));
        char *id = name ? package_id(name) : NULL;
        if (name && version && !strlist_has(&d->packaged, name))
            package_add(d, id, name, version, NULL,
                        cJSON_GetStringValue(cJSON_GetObjectItem(p, "SHA256")));
        free(id);
    }
    cJSON_Delete(o);
    err_free(&none);
    free(text);
    free(path);
    return ok;
}

static void files_add(struct document *d, const struct image_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const struct image_file *f = &files->items[i];
        char *id = alloc_printf("SPDXRef-File-%zu", i + 1), *name = alloc_printf(".%s", f->path);
        cJSON *o = cJSON_CreateObject(), *sums;
        cJSON_AddStringToObject(o, "SPDXID", id);
        cJSON_AddStringToObject(o, "fileName", name);
        sums = cJSON_AddArrayToObject(o, "checksums");
        sum_add(sums, "SHA1", f->sha1, SHA1_SIZE);
        sum_add(sums, "SHA256", f->sha256, DIGEST_SIZE);
        cJSON_AddStringToObject(o, "licenseConcluded", NONE);
        cJSON_AddStringToObject(o, "copyrightText", NONE);
        cJSON_AddItemToArray(d->files, o);
        relation_add(d, IMAGE_ID, "CONTAINS", id);
        if (d->owners.items[i][0]) {
            char *package = package_id(d->owners.items[i]);
            relation_add(d, id, "GENERATED_FROM", package);
            free(package);
        }
        free(name);
        free(id);
    }
}

/* SHA-1 of the files' SHA-1s in order, as SPDX wants it (§7.9). */
static void code_add(cJSON *image, const struct image_files *files)
{
    struct strlist sums = {0};
    struct sha1 s;
    unsigned char digest[SHA1_SIZE];
    char text[2 * SHA1_SIZE + 1];
    for (size_t i = 0; i < files->count; i++) {
        sodium_bin2hex(text, sizeof text, files->items[i].sha1, SHA1_SIZE);
        strlist_add(&sums, text);
    }
    if (sums.count)
        qsort(sums.items, sums.count, sizeof *sums.items, by_text);
    sha1_begin(&s);
    for (size_t i = 0; i < sums.count; i++)
        sha1_add(&s, sums.items[i], strlen(sums.items[i]));
    sha1_end(&s, digest);
    hex_add(cJSON_AddObjectToObject(image, "packageVerificationCode"),
            "packageVerificationCodeValue", digest, sizeof digest);
    strlist_free(&sums);
}

static void creation_add(cJSON *o)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t at = epoch ? (time_t)strtoll(epoch, NULL, 10) : 0;
    struct tm tm;
    char text[32];
    cJSON *info = cJSON_AddObjectToObject(o, "creationInfo");
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
    cJSON_AddStringToObject(info, "created", text);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(info, "creators"),
                         cJSON_CreateString("Tool: ops-" OPS_VERSION));
}

/* The namespace follows from what the document says. */
static void head_add(cJSON *o, const char *name, const struct image_files *files)
{
    struct buf all = {0};
    unsigned char digest[DIGEST_SIZE];
    char text[DIGEST_TEXT];
    for (size_t i = 0; i < files->count; i++) {
        buf_addf(&all, "%s\n", files->items[i].path);
        buf_add(&all, files->items[i].sha256, DIGEST_SIZE);
    }
    buf_addf(&all, "%s", name);
    digest_of_bytes(all.data, all.size, digest);
    digest_text(digest, text);
    buf_free(&all);
    char *space = alloc_printf("urn:ops:image:%s:%s", name, text);
    cJSON_AddStringToObject(o, "spdxVersion", "SPDX-2.3");
    cJSON_AddStringToObject(o, "dataLicense", "CC0-1.0");
    cJSON_AddStringToObject(o, "SPDXID", "SPDXRef-DOCUMENT");
    cJSON_AddStringToObject(o, "name", name);
    cJSON_AddStringToObject(o, "documentNamespace", space);
    creation_add(o);
    free(space);
}

bool sbom_make(struct buf *to, const char *name, const struct image_files *files,
               const char *package, bool verify, struct err *err)
{
    struct document d = {.distribution = distribution_name()};
    cJSON *o = cJSON_CreateObject();
    head_add(o, name, files);
    d.packages = cJSON_AddArrayToObject(o, "packages");
    d.files = cJSON_AddArrayToObject(o, "files");
    d.relations = cJSON_AddArrayToObject(o, "relationships");
    cJSON *image = package_begin(IMAGE_ID, name, NULL);
    cJSON_AddBoolToObject(image, "filesAnalyzed", true);
    code_add(image, files);
    cJSON_AddItemToArray(d.packages, image);
    relation_add(&d, "SPDXRef-DOCUMENT", "DESCRIBES", IMAGE_ID);
    bool ok = owners_find(&d, files, verify, err);
    if (ok) {
        packaged_add(&d);
        ok = !package || origin_add(&d, package, err);
        files_add(&d, files);
    }
    char *text = ok ? cJSON_Print(o) : NULL;
    if (text)
        buf_addf(to, "%s\n", text);
    free(text);
    cJSON_Delete(o);
    strlist_free(&d.owners);
    strlist_free(&d.packaged);
    strlist_free(&d.versions);
    free(d.distribution);
    return ok;
}
