/* SPDX-License-Identifier: Apache-2.0 */
/* Registries of container images: see registry.h. Logging in is in token.c. */
#include "import/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "alloc.h"
#include "digest.h"
#include "hostpath.h"
#include "import/token.h"
#include "ops/exit.h"

#define ACCEPT                                                                                     \
    "Accept: application/vnd.oci.image.index.v1+json, "                                            \
    "application/vnd.oci.image.manifest.v1+json, "                                                 \
    "application/vnd.docker.distribution.manifest.list.v2+json, "                                  \
    "application/vnd.docker.distribution.manifest.v2+json"

bool registry_open(struct registry *r, const struct reference *reference, const char *cache,
                   const char *docker_config, bool insecure, struct err *err)
{
    size_t n = reference->host[0] == '[' ? strcspn(reference->host, "]") : 0;
    char *host = n ? alloc_bytes(reference->host + 1, n - 1)
                   : alloc_bytes(reference->host, strcspn(reference->host, ":"));
    bool plain = insecure || fetch_is_loopback(host);
    free(host);
    *r = (struct registry){.reference = reference, .status = -1};
    r->base =
        alloc_printf("%s://%s/v2/%s", plain ? "http" : "https", reference->host, reference->name);
    r->login = token_login(docker_config, reference->host);
    r->cache = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return r->cache >= 0 || err_errno(err, "open", cache);
}

void registry_close(struct registry *r)
{
    free(r->base);
    free(r->login);
    free(r->bearer);
    if (r->cache >= 0)
        close(r->cache);
}

/* Asks; once more with a token when it wants one. */
static bool ask(struct registry *r, struct fetch *f, struct err *err)
{
    for (bool again = false;; again = true) {
        struct strlist headers = {0};
        strlist_add(&headers, ACCEPT);
        if (r->bearer)
            strlist_add(&headers, r->bearer);
        f->headers = &headers;
        f->any_code = !again;
        f->stall = r->stall;
        f->status = r->status;
        bool ok = fetch_run(f, err);
        strlist_free(&headers);
        f->headers = NULL;
        if (!ok || f->code < 400 || again)
            return ok;
        if (f->code == 401 && !token_get(r, f->challenge, err))
            return false;
    }
}

static bool digest_is(const unsigned char got[DIGEST_SIZE], const char *want)
{
    char text[DIGEST_TEXT];
    digest_text(got, text);
    return strcmp(want + 7, text) == 0;
}

static bool digest_wrong(const char *url, const char *want, struct err *err)
{
    return err_set(err, OPS_EXIT_FAILED, "it was changed, or damaged on its way; it is not used",
                   "%s is not what %s names", url, want);
}

/* Is the open file that blob? */
static bool is_blob(int fd, const struct oci_descriptor *d)
{
    unsigned char got[DIGEST_SIZE];
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == d->size &&
           digest_of_fd(fd, got) && digest_is(got, d->digest);
}

/* The cached blob; -1: it is not there, or damaged, and then it is removed. */
static int cached(struct registry *r, const struct oci_descriptor *d)
{
    int fd = openat(r->cache, d->digest + 7, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && is_blob(fd, d))
        return fd;
    if (fd >= 0) {
        unlinkat(r->cache, d->digest + 7, 0);
        close(fd);
    }
    return -1;
}

/* HEX.part in the cache, alone: another process may be fetching the same. */
static int part_open(struct registry *r, const char *name, struct err *err)
{
    struct stat st, now;
    for (;;) {
        int fd = openat(r->cache, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0) {
            err_errno(err, "write", name);
            if (fd >= 0)
                close(fd);
            return -1;
        }
        if (fstatat(r->cache, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == st.st_ino)
            return fd;
        close(fd); /* the other one has finished it */
    }
}

/* Goes on with what an earlier call left, once; then from the start. */
static bool blob_fetch(struct registry *r, const struct oci_descriptor *d, int fd, const char *url,
                       bool *keep, struct err *err)
{
    struct stat st;
    uint64_t from =
        fstat(fd, &st) == 0 && (uint64_t)st.st_size < d->size ? (uint64_t)st.st_size : 0;
    for (;;) {
        char *what = alloc_bytes(d->digest + 7, 12);
        struct fetch f = {.url = url, .what = what, .limit = d->size, .fd = fd, .from = from};
        bool ok = ask(r, &f, err);
        *keep = f.broken && f.at;
        if (ok && f.at != d->size)
            ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s has %llu bytes, not %llu", url,
                         (unsigned long long)f.at, (unsigned long long)d->size);
        fetch_free(&f);
        free(what);
        ok = ok && (is_blob(fd, d) || digest_wrong(url, d->digest, err));
        if (ok || *keep || !from)
            return ok;
        from = 0;
        err_free(err);
    }
}

int registry_blob(struct registry *r, const struct oci_descriptor *d, struct err *err)
{
    int fd = cached(r, d);
    if (fd >= 0)
        return fd;
    if (d->size > r->limit) {
        err_set(err, OPS_EXIT_FAILED, "--max-bytes sets the limit", "the layer %s is too large",
                d->digest);
        return -1;
    }
    char *part = alloc_printf("%s.part", d->digest + 7);
    char *url = alloc_printf("%s/blobs/%s", r->base, d->digest);
    bool keep = false, ok = false;
    fd = part_open(r, part, err);
    int other = fd >= 0 ? cached(r, d) : -1; /* while this one waited */
    if (fd >= 0 && other < 0) {
        ok = blob_fetch(r, d, fd, url, &keep, err);
        if (ok && (fsync(fd) < 0 || renameat(r->cache, part, r->cache, d->digest + 7) < 0))
            ok = err_errno(err, "write", part);
    }
    if (fd >= 0 && !ok && !keep)
        unlinkat(r->cache, part, 0);
    if (fd >= 0 && !ok) {
        close(fd);
        fd = other;
    }
    free(part);
    free(url);
    return fd;
}

/* A name for what a tag was, whatever is in it. */
static void tag_name(const struct registry *r, char name[4 + DIGEST_TEXT])
{
    unsigned char digest[DIGEST_SIZE];
    char *whole = alloc_printf("%s:%s", r->base, r->reference->tag);
    crypto_hash_sha256(digest, (const unsigned char *)whole, strlen(whole));
    strcpy(name, "tag-");
    digest_text(digest, name + 4);
    free(whole);
}

static void tag_remember(struct registry *r, const char *digest, uint64_t size)
{
    char name[4 + DIGEST_TEXT];
    char *text = alloc_printf("%s %llu\n", digest, (unsigned long long)size);
    tag_name(r, name);
    path_write(r->cache, name, text, strlen(text)); /* without it only the next time is slower */
    free(text);
}

/* What the tag was when the registry could last be reached. */
static bool tag_recall(struct registry *r, struct oci_descriptor *d)
{
    char name[4 + DIGEST_TEXT], text[128] = "";
    unsigned long long size = 0;
    tag_name(r, name);
    int fd = openat(r->cache, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n < 0 || sscanf(text, "%71s %llu", d->digest, &size) != 2)
        return false;
    d->size = size;
    return reference_digest_ok(d->digest);
}

static bool text_read(int fd, const struct oci_descriptor *d, struct buf *text)
{
    char *bytes = alloc_zero(d->size + 1);
    bool ok = pread(fd, bytes, d->size, 0) == (ssize_t)d->size;
    if (ok)
        buf_add(text, bytes, d->size);
    free(bytes);
    return ok;
}

static bool cached_text(struct registry *r, const struct oci_descriptor *d, struct buf *text)
{
    int fd = d->size <= OCI_TEXT_LIMIT ? cached(r, d) : -1;
    bool ok = fd >= 0 && text_read(fd, d, text);
    if (fd >= 0)
        close(fd);
    return ok;
}

/* The manifest by its name: a tag, or a digest whose size nobody has said. */
static bool named_fetch(struct registry *r, const char *name, char digest[OCI_DIGEST],
                        struct buf *text, bool *broken, struct err *err)
{
    char *url = alloc_printf("%s/manifests/%s", r->base, name);
    struct fetch f = {.url = url, .limit = OCI_TEXT_LIMIT, .fd = -1};
    unsigned char got[DIGEST_SIZE];
    bool ok = ask(r, &f, err);
    *broken = f.broken || f.code >= 500;
    if (ok) {
        crypto_hash_sha256(got, (const unsigned char *)f.body.data, f.body.size);
        if (f.digest && reference_digest_ok(f.digest) && !digest_is(got, f.digest))
            ok = digest_wrong(url, f.digest, err);
        else if (reference_digest_ok(name) && !digest_is(got, name))
            ok = digest_wrong(url, name, err);
    }
    if (ok) {
        strcpy(digest, "sha256:");
        digest_text(got, digest + 7);
        buf_add(text, f.body.data ? f.body.data : "", f.body.size);
        path_write(r->cache, digest + 7, text->data, text->size);
    }
    fetch_free(&f);
    free(url);
    return ok;
}

/* A manifest that was asked for by digest alone: its size is that of the file. */
static bool digest_recall(struct registry *r, const char *digest, struct buf *text)
{
    struct oci_descriptor d = {0};
    struct stat st;
    if (fstatat(r->cache, digest + 7, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_size <= 0)
        return false;
    memcpy(d.digest, digest, OCI_DIGEST);
    d.size = (uint64_t)st.st_size;
    return cached_text(r, &d, text);
}

bool registry_manifest(struct registry *r, const struct oci_descriptor *wanted,
                       char digest[OCI_DIGEST], struct buf *text, struct err *err)
{
    const struct reference *ref = r->reference;
    struct oci_descriptor last = {0};
    const char *by = wanted ? wanted->digest : ref->digest;
    bool broken = false;
    if (by && digest_recall(r, by, text)) {
        memcpy(digest, by, OCI_DIGEST);
        return true;
    }
    if (named_fetch(r, by ? by : ref->tag, digest, text, &broken, err)) {
        if (!by)
            tag_remember(r, digest, text->size);
        return true;
    }
    if (by || !broken || !tag_recall(r, &last) || !cached_text(r, &last, text))
        return false;
    fprintf(stderr, "note: %s cannot be reached: using %s as it was fetched before\n", ref->host,
            ref->tag);
    err_free(err);
    memcpy(digest, last.digest, OCI_DIGEST);
    return true;
}
