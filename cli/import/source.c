/* SPDX-License-Identifier: Apache-2.0 */
/* Where a container image comes from: see source.h. */
#include "import/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "digest.h"
#include "ops/exit.h"

#define SCRATCH    ".import"
#define INDEX_DEEP 4 /* indexes in indexes */

/* A regular file of the layout; a symlink leads nowhere else than into it. */
static int open_in(const struct source *s, const char *path, struct err *err)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT};
    struct stat st;
    int fd = (int)syscall(SYS_openat2, s->dir, path, &how, sizeof how);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    if (fd < 0)
        err_errno(err, "open", path);
    else
        err_set(err, OPS_EXIT_FAILED, NULL, "%s of the image is no file", path);
    if (fd >= 0)
        close(fd);
    err_hint(err, "%s is incomplete, or no image of that kind", s->reference->path);
    return -1;
}

/* An archive's content goes to DIR/.import, which is taken away at the end. */
static bool scratch_fill(struct source *s, struct err *err)
{
    struct import *i = s->import;
    int fd = import_open(s->reference->path, err);
    if (fd < 0)
        return false;
    if (mkdirat(i->dir_fd, SCRATCH, 0700) == 0)
        s->dir = openat(i->dir_fd, SCRATCH, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = s->dir >= 0 || err_errno(err, "make", SCRATCH);
    if (ok) {
        struct stream *t = stream_open(s->reference->path, fd, UINT64_MAX, &i->budget);
        s->scratch = unpack_create(s->dir, &i->budget);
        ok = unpack_archive(s->scratch, t, UNPACK_PLAIN, err);
        stream_close(t);
    }
    close(fd);
    return ok;
}

bool source_open(struct source *s, struct import *i, const struct reference *r, const char *cache,
                 const char *docker_config, struct err *err)
{
    *s = (struct source){.reference = r, .import = i, .dir = -1};
    if (r->kind == REFERENCE_REGISTRY) {
        s->remote = true;
        bool ok = registry_open(&s->registry, r, cache, docker_config, i->options.insecure, err);
        s->registry.stall = i->stall;
        s->registry.status = i->status;
        s->registry.limit = i->budget.bytes;
        return ok;
    }
    if (r->kind != REFERENCE_OCI)
        return scratch_fill(s, err);
    s->dir = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->dir >= 0 || err_errno(err, "open", r->path);
}

bool source_close(struct source *s, struct err *err)
{
    bool ok = true;
    if (s->remote)
        registry_close(&s->registry);
    if (s->scratch) {
        ok = unpack_remove(s->scratch, err);
        unpack_free(s->scratch);
    }
    if (s->dir >= 0)
        close(s->dir);
    if (ok && s->scratch && unlinkat(s->import->dir_fd, SCRATCH, AT_REMOVEDIR) < 0)
        ok = err_errno(err, "remove", SCRATCH);
    return ok;
}

/* An archive of Docker names files by their SHA-256, in one of two ways, or layers by nothing. */
static bool name_check(const char *path, int fd, struct err *err)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char hex[DIGEST_TEXT] = "", text[DIGEST_TEXT];
    unsigned char got[DIGEST_SIZE], named[DIGEST_SIZE];
    memcpy(hex, base, strnlen(base, DIGEST_TEXT - 1));
    const char *behind = base + strlen(hex);
    if (!digest_parse(hex, named) || (*behind && strcmp(behind, ".json") != 0))
        return true;
    if (!digest_of_fd(fd, got))
        return err_errno(err, "read", path);
    digest_text(got, text);
    return memcmp(got, named, DIGEST_SIZE) == 0 ||
           err_set(err, OPS_EXIT_FAILED, "it was changed, or damaged; it is not used",
                   "%s has the SHA-256 %s", path, text);
}

static bool blob_check(const struct oci_descriptor *d, int fd, struct err *err)
{
    unsigned char got[DIGEST_SIZE];
    char text[DIGEST_TEXT];
    struct stat st;
    if (fstat(fd, &st) < 0 || !digest_of_fd(fd, got))
        return err_errno(err, "read", d->digest);
    digest_text(got, text);
    if (strcmp(text, d->digest + 7) != 0)
        return err_set(err, OPS_EXIT_FAILED, "it was changed, or damaged; it is not used",
                       "the blob %s has the SHA-256 %s", d->digest, text);
    return (uint64_t)st.st_size == d->size ||
           err_set(err, OPS_EXIT_FAILED, NULL, "the blob %s has %llu bytes, not %llu", d->digest,
                   (unsigned long long)st.st_size, (unsigned long long)d->size);
}

int source_blob(struct source *s, const struct oci_descriptor *d, struct err *err)
{
    if (s->remote)
        return registry_blob(&s->registry, d, err);
    char *path = d->path ? alloc_string(d->path) : alloc_printf("blobs/sha256/%s", d->digest + 7);
    int fd = open_in(s, path, err);
    if (fd >= 0 && !(d->path ? name_check(path, fd, err) : blob_check(d, fd, err))) {
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

static bool fd_text(int fd, const char *name, struct buf *text, struct err *err)
{
    char bytes[16384];
    ssize_t n;
    buf_add(text, "", 0);
    while ((n = read(fd, bytes, sizeof bytes)) > 0 && text->size <= OCI_TEXT_LIMIT)
        buf_add(text, bytes, (size_t)n);
    if (n < 0)
        return err_errno(err, "read", name);
    return text->size <= OCI_TEXT_LIMIT ||
           err_set(err, OPS_EXIT_FAILED, NULL, "%s is larger than %u bytes", name, OCI_TEXT_LIMIT);
}

bool source_text(struct source *s, const struct oci_descriptor *d, struct buf *text,
                 struct err *err)
{
    const char *name = d->path ? d->path : d->digest;
    if (d->size > OCI_TEXT_LIMIT)
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s is larger than %u bytes", name,
                       OCI_TEXT_LIMIT);
    int fd = source_blob(s, d, err);
    bool ok = fd >= 0 && fd_text(fd, name, text, err);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool file_text(struct source *s, const char *path, struct buf *text, struct err *err)
{
    int fd = open_in(s, path, err);
    bool ok = fd >= 0 && fd_text(fd, path, text, err);
    if (fd >= 0)
        close(fd);
    return ok;
}

/* "linux/arm/v7" is for "linux/arm" too. */
static bool platform_fits(const char *have, const char *want)
{
    size_t n = strlen(want);
    return strncmp(have, want, n) == 0 && (!have[n] || have[n] == '/');
}

static bool none_fits(const struct oci_list *l, const char *what, const char *want, bool names,
                      struct err *err)
{
    struct buf b = {0};
    for (size_t i = 0; i < l->count; i++) {
        const char *has = names ? l->items[i].name : l->items[i].platform;
        buf_addf(&b, "%s%s", b.size ? ", " : "", has ? has : "(unnamed)");
    }
    err_set(err, OPS_EXIT_FAILED, NULL, "the image has no %s %s", what, want);
    err_hint(err, "it has: %s", b.size ? b.data : "none at all");
    buf_free(&b);
    return false;
}

static const struct oci_descriptor *platform_choose(const struct oci_list *l, const char *want,
                                                    struct err *err)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].platform && platform_fits(l->items[i].platform, want))
            return &l->items[i];
    if (l->count == 1 && !l->items[0].platform)
        return &l->items[0];
    none_fits(l, "variant for", want, false, err);
    return NULL;
}

/* Of a layout's index.json: by tag, or the only one. */
static const struct oci_descriptor *tag_choose(const struct oci_list *l, const char *tag,
                                               const char *platform, struct err *err)
{
    const char *want = tag ? tag : "latest";
    if (!tag && l->count == 1)
        return &l->items[0];
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].name && strcmp(l->items[i].name, want) == 0 &&
            (!l->items[i].platform || platform_fits(l->items[i].platform, platform)))
            return &l->items[i];
    none_fits(l, tag ? "tag" : "tag, and none is given;", want, true, err);
    return NULL;
}

/* From a manifest or index to the manifest for the platform. */
static bool descend(struct source *s, const char *platform, struct oci_manifest *m,
                    char digest[OCI_DIGEST], struct err *err)
{
    for (unsigned deep = 0; m->is_index; deep++) {
        struct buf text = {0};
        const struct oci_descriptor *d = platform_choose(&m->manifests, platform, err);
        if (!d || deep == INDEX_DEEP)
            return d ? err_set(err, OPS_EXIT_FAILED, NULL, "indexes in indexes without end")
                     : false;
        bool ok = s->remote ? registry_manifest(&s->registry, d, digest, &text, err)
                            : source_text(s, d, &text, err);
        memcpy(digest, d->digest, OCI_DIGEST);
        if (ok && text.size != d->size)
            ok = err_set(err, OPS_EXIT_FAILED, NULL, "the manifest %s has not the size it should",
                         digest);
        oci_manifest_free(m);
        ok = ok && oci_manifest_parse(m, digest, text.data, text.size, err);
        buf_free(&text);
        if (!ok)
            return false;
    }
    return true;
}

static bool docker_manifest(struct source *s, struct oci_manifest *m, char digest[OCI_DIGEST],
                            struct err *err)
{
    struct buf text = {0};
    digest[0] = 0;
    bool ok = file_text(s, "manifest.json", &text, err) &&
              oci_docker_parse(m, "manifest.json", text.data, text.size, s->reference->tag, err);
    buf_free(&text);
    return ok;
}

static bool layout_manifest(struct source *s, const char *platform, struct oci_manifest *m,
                            char digest[OCI_DIGEST], struct err *err)
{
    struct buf index = {0}, text = {0};
    const struct oci_descriptor *d = NULL;
    bool ok = file_text(s, "index.json", &index, err) &&
              oci_manifest_parse(m, "index.json", index.data, index.size, err) &&
              (m->is_index || err_set(err, OPS_EXIT_FAILED, NULL, "index.json is no index")) &&
              (d = tag_choose(&m->manifests, s->reference->tag, platform, err)) != NULL &&
              source_text(s, d, &text, err);
    if (ok) {
        memcpy(digest, d->digest, OCI_DIGEST);
        oci_manifest_free(m);
        ok = oci_manifest_parse(m, digest, text.data, text.size, err);
    }
    buf_free(&index);
    buf_free(&text);
    return ok && descend(s, platform, m, digest, err);
}

bool source_manifest(struct source *s, const char *platform, struct oci_manifest *m,
                     char digest[OCI_DIGEST], struct err *err)
{
    struct buf text = {0};
    *m = (struct oci_manifest){0};
    if (s->reference->kind == REFERENCE_DOCKER_ARCHIVE)
        return docker_manifest(s, m, digest, err);
    if (!s->remote)
        return layout_manifest(s, platform, m, digest, err);
    bool ok = registry_manifest(&s->registry, NULL, digest, &text, err) &&
              oci_manifest_parse(m, s->reference->name, text.data, text.size, err);
    buf_free(&text);
    return ok && descend(s, platform, m, digest, err);
}
