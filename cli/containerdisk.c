/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as a container image: see containerdisk.h. (OCI image specification 1.0.) */
#include "containerdisk.h"

#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "digest.h"
#include "disk_format.h"
#include "tarball.h"

#define QEMU_USER 107 /* of KubeVirt's QEMU */
#define OCI       "application/vnd.oci.image."

struct blob {
    uint64_t size;
    char digest[DIGEST_TEXT];
};

static bool size_of(int fd, const char *shown, uint64_t *size, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "read", shown);
    *size = (uint64_t)st.st_size;
    return true;
}

/* The layer: an archive of the disk as qcow2. */
static bool layer_make(int raw, int layer, const struct outfile *out, struct blob *b,
                       struct err *err)
{
    struct tarball tar;
    unsigned char digest[DIGEST_SIZE];
    uint64_t size = 0;
    int disk = outfile_scratch(out, err);
    bool ok = disk >= 0 && format_convert(FORMAT_QCOW2, raw, disk, "disk.qcow2", out->path, err) &&
              size_of(disk, out->path, &size, err);
    if (ok && (ok = tarball_begin(&tar, layer, out->path, false, err))) {
        tar.owner = QEMU_USER;
        ok = tarball_add_dir(&tar, "disk/", err) &&
             tarball_add(&tar, "disk/disk.qcow2", size, NULL, disk, err);
        ok = tarball_end(&tar, ok, err);
    }
    if (disk >= 0)
        close(disk);
    if (!ok || !size_of(layer, out->path, &b->size, err))
        return false;
    if (!digest_of_fd(layer, digest))
        return err_errno(err, "read", out->path);
    digest_text(digest, b->digest);
    return true;
}

static void text_digest(const struct buf *text, struct blob *b)
{
    unsigned char digest[DIGEST_SIZE];
    digest_of_bytes(text->data, text->size, digest);
    digest_text(digest, b->digest);
    b->size = text->size;
}

static void descriptor_add(struct buf *to, const char *kind, const struct blob *b, const char *more)
{
    buf_addf(to, "{\"mediaType\":\"" OCI "%s\",\"digest\":\"sha256:%s\",\"size\":%llu%s}", kind,
             b->digest, (unsigned long long)b->size, more);
}

static void config_make(struct buf *to, const struct blob *layer)
{
    buf_addf(to,
             "{\"created\":\"1970-01-01T00:00:00Z\",\"architecture\":\"amd64\",\"os\":\"linux\","
             "\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\"]}}",
             layer->digest);
}

static void manifest_make(struct buf *to, const struct blob *config, const struct blob *layer)
{
    buf_addf(to, "{\"schemaVersion\":2,\"mediaType\":\"" OCI "manifest.v1+json\",\"config\":");
    descriptor_add(to, "config.v1+json", config, "");
    buf_addf(to, ",\"layers\":[");
    descriptor_add(to, "layer.v1.tar", layer, "");
    buf_addf(to, "]}");
}

static void index_make(struct buf *to, const struct blob *manifest)
{
    buf_addf(to, "{\"schemaVersion\":2,\"mediaType\":\"" OCI "index.v1+json\",\"manifests\":[");
    descriptor_add(to, "manifest.v1+json", manifest,
                   ",\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"},\"annotations\":"
                   "{\"org.opencontainers.image.ref.name\":\"latest\"}");
    buf_addf(to, "]}");
}

/* The name of a blob is its digest; `text` NULL: the content of `fd`. */
static bool blob_add(struct tarball *tar, const struct blob *b, const struct buf *text, int fd,
                     struct err *err)
{
    struct buf name = {0};
    buf_addf(&name, "blobs/sha256/%s", b->digest);
    bool ok = tarball_add(tar, name.data, b->size, text ? text->data : NULL, fd, err);
    buf_free(&name);
    return ok;
}

static bool layout_write(const struct outfile *out, const struct blob *layer, int fd,
                         struct err *err)
{
    static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    struct buf config = {0}, manifest = {0}, index = {0};
    struct blob config_blob, manifest_blob;
    struct tarball tar;
    config_make(&config, layer);
    text_digest(&config, &config_blob);
    manifest_make(&manifest, &config_blob, layer);
    text_digest(&manifest, &manifest_blob);
    index_make(&index, &manifest_blob);
    bool ok = tarball_begin(&tar, out->fd, out->path, false, err);
    if (ok) {
        ok = tarball_add(&tar, "oci-layout", sizeof version - 1, version, -1, err) &&
             tarball_add(&tar, "index.json", index.size, index.data, -1, err) &&
             blob_add(&tar, &manifest_blob, &manifest, -1, err) &&
             blob_add(&tar, &config_blob, &config, -1, err) && blob_add(&tar, layer, NULL, fd, err);
        ok = tarball_end(&tar, ok, err);
    }
    buf_free(&config);
    buf_free(&manifest);
    buf_free(&index);
    return ok;
}

bool containerdisk_write(int raw, const struct outfile *out, struct err *err)
{
    struct blob layer;
    int fd = outfile_scratch(out, err);
    bool ok =
        fd >= 0 && layer_make(raw, fd, out, &layer, err) && layout_write(out, &layer, fd, err);
    if (fd >= 0)
        close(fd);
    return ok;
}
