/* SPDX-License-Identifier: Apache-2.0 */
/* Container images: see container.h. */
#include "container.h"

#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "hold.h"
#include "hostpath.h"
#include "import.h"
#include "package_store.h"

#define CONTAINER_NAME "image"
#define CONTAINER_FORM "1" /* changes with what ops-import makes of an image */
#define CONTAINER_KEY  24  /* bytes of a digest that name one */

static const char *const local[] = {"oci:", "oci-archive:", "docker-archive:"};
#define LOCAL (sizeof local / sizeof local[0])

/* The rest of the word behind what says that it is here; NULL: it is in a registry. */
static const char *local_path(const char *word)
{
    for (size_t i = 0; i < LOCAL; i++)
        if (strncmp(word, local[i], strlen(local[i])) == 0)
            return word + strlen(local[i]);
    return NULL;
}

bool container_is(const char *word)
{
    return local_path(word) || strncmp(word, "docker://", 9) == 0;
}

/* The word with its path made absolute, so that it means the same everywhere. */
static char *word_settle(const char *word)
{
    const char *path = local_path(word);
    if (!path)
        return alloc_string(word);
    char *absolute = path_absolute(path);
    char *settled = alloc_printf("%.*s%s", (int)(path - word), word, absolute);
    free(absolute);
    return settled;
}

/* When the file or the layout's index last changed, if there is one. */
static void local_identity(struct buf *b, const char *word)
{
    struct stat st;
    const char *rest = local_path(word);
    if (!rest)
        return;
    char *path = alloc_string(rest), *colon = strrchr(path, ':');
    if (stat(path, &st) < 0 && colon)
        *colon = 0;
    char *index = path_join(path, "index.json");
    if (stat(index, &st) == 0 || stat(path, &st) == 0)
        buf_addf(b, "\n%llu %lld %lld.%09ld", (unsigned long long)st.st_ino, (long long)st.st_size,
                 (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    free(index);
    free(path);
}

/* What an unpacked image is called: a digest of what was asked for. Freed with free(). */
static char *container_key(const char *word, const char *entrypoint)
{
    struct buf b = {0}, key = {0};
    unsigned char digest[64];
    buf_addf(&b, "%s\n%s\n%s", CONTAINER_FORM, word, entrypoint ? entrypoint : "");
    local_identity(&b, word);
    ext2fs_sha512((unsigned char *)b.data, b.size, digest);
    for (size_t i = 0; i < CONTAINER_KEY; i++)
        buf_addf(&key, "%02x", digest[i]);
    buf_free(&b);
    return key.data;
}

static bool container_unpack(const char *store, const char *word, const char *entrypoint,
                             const char *key, char **dir, struct err *err)
{
    struct package_draft draft = {.fd = -1};
    struct strlist words = {0};
    struct hold hold;
    hold_begin(&hold);
    bool ok = package_draft_make(&draft, store, err);
    if (entrypoint)
        strlist_addf(&words, "--entrypoint=%s", entrypoint);
    strlist_add(&words, "oci");
    strlist_add(&words, ok ? draft.dir : "");
    strlist_add(&words, word);
    ok = ok && import_run(&words, &hold, NULL, err) &&
         package_draft_keep(&draft, CONTAINER_NAME, key, dir, err);
    package_draft_drop(&draft);
    hold_end(&hold);
    strlist_free(&words);
    return ok;
}

char *container_get(const char *given, const char *entrypoint, bool fresh, struct err *err)
{
    char *store = path_user("XDG_CACHE_HOME", ".cache", "ops/containers", err);
    if (!store)
        return NULL;
    char *word = word_settle(given), *key = container_key(word, entrypoint);
    char *dir = alloc_printf("%s/%s_%s", store, CONTAINER_NAME, key);
    if (fresh || access(dir, F_OK) < 0) {
        free(dir);
        dir = NULL;
        container_unpack(store, word, entrypoint, key, &dir, err);
    }
    free(key);
    free(word);
    free(store);
    return dir;
}
