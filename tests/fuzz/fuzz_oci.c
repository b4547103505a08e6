/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptions of container images from nowhere: index, manifest, configuration, manifest.json of
 * `docker save`, references, challenges, accounts, and the package that a configuration becomes.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "import/account.h"
#include "import/image_package.h"
#include "import/oci_json.h"
#include "import/reference.h"
#include "import/registry.h"
#include "import/token.h"

static const char list_text[] =
    "#mtree\n"
    ". type=dir mode=0755 uid=0 gid=0 time=0.000000000\n"
    "./bin type=dir mode=0755 uid=0 gid=0 time=0.000000000\n"
    "./bin/a type=link mode=0777 uid=0 gid=0 time=0.000000000 link=../bin/./b\n"
    "./bin/b type=file mode=0755 uid=0 gid=0 time=0.000000000 size=0 sha256digest="
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
    "./bin/l type=link mode=0777 uid=0 gid=0 time=0.000000000 link=l\n";

static char dir[] = "/dev/shm/fuzz-oci.XXXXXX";
static struct mtree list;
static int fd = -1;

static void remove_dir(void)
{
    unlinkat(fd, "package.manifest", 0);
    unlinkat(fd, "README.md", 0);
    rmdir(dir);
    mtree_free(&list);
}

static void begin(void)
{
    struct err err = {0};
    if (fd >= 0)
        return;
    if (!mkdtemp(dir) || (fd = open(dir, O_RDONLY | O_DIRECTORY)) < 0 ||
        !mtree_parse(&list, "list", list_text, sizeof list_text - 1, &err))
        abort();
    atexit(remove_dir);
}

/* A failure has a reason. */
static void judge(bool ok, struct err *err)
{
    if (!ok && !err->message)
        abort();
    err_free(err);
}

static void list_check(const struct oci_list *l, bool digests)
{
    for (size_t i = 0; i < l->count; i++)
        if (digests ? !reference_digest_ok(l->items[i].digest) : !l->items[i].path)
            abort();
}

static void manifests(const char *text, size_t size)
{
    struct oci_manifest m;
    struct err err = {0};
    bool ok = oci_manifest_parse(&m, "fuzz", text, size, &err);
    if (ok) {
        list_check(&m.manifests, true);
        list_check(&m.layers, true);
        if (!m.is_index && !reference_digest_ok(m.config.digest))
            abort();
    }
    judge(ok, &err);
    oci_manifest_free(&m);
    ok = oci_docker_parse(&m, "fuzz", text, size, size % 2 ? "a:b" : NULL, &err);
    if (ok)
        list_check(&m.layers, false);
    judge(ok, &err);
    oci_manifest_free(&m);
}

static void config(const char *text, size_t size)
{
    struct oci_config c;
    struct err err = {0};
    bool ok = oci_config_parse(&c, "fuzz", text, size, &err);
    if (ok) {
        struct rootfs_view view = {&list, fd};
        struct image_package p = {.config = &c, .view = &view, .reference = "fuzz", .digest = ""};
        ok = image_package_write(&p, fd, &err);
    }
    judge(ok, &err);
    oci_config_free(&c);
}

static void words(const char *text)
{
    struct reference r;
    struct err err = {0};
    uint32_t id, gid;
    char *reference = alloc_printf("docker://%s", text);
    judge(reference_parse(&r, reference, &err), &err);
    reference_free(&r);
    free(reference);
    free(token_word(text, "realm"));
    free(token_login(text, "a"));
    account_line(text, "a", 0, &id, &gid);
    account_line(text, NULL, 0, &id, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    begin();
    char *text = alloc_bytes((const char *)data, size);
    manifests(text, size);
    config(text, size);
    words(text);
    free(text);
    return 0;
}
