/* SPDX-License-Identifier: Apache-2.0 */
/* Archives of packages, and repositories of those: see package_archive.h, repo.h. */
#include "package_archive.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "child.h"
#include "digest.h"
#include "hostpath.h"
#include "minisign.h"
#include "ops/exit.h"
#include "package.h"
#include "package_store.h"
#include "repo.h"
#include "script.h"

#define INDEX_LIMIT (16u << 20)
#define PART        ".new.tar.gz" /* one that is being written; the tree is locked */
#define DAY         (24 * 60 * 60)

bool package_archive(const char *dir, const char *top, const char *file, struct err *err)
{
    struct strlist argv = {0};
    struct buf said = {0};
    size_t n = strlen(file);
    char *tool = script_find(NULL, "tar");
    if (!tool)
        return err_set(err, OPS_EXIT_FAILED, "install GNU tar", "cannot find tar");
    strlist_add(&argv, tool);
    strlist_split(&argv, "--sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime=@0",
                  " ");
    strlist_add(&argv, n > 2 && strcmp(file + n - 2, "gz") == 0 ? "-czf" : "-cf");
    strlist_add(&argv, file);
    strlist_addf(&argv, "--transform=s,^\\.,%s,rSh", top); /* not the targets of symlinks */
    strlist_addf(&argv, "--directory=%s", dir);
    strlist_add(&argv, ".");
    bool ok = child_collect(&argv, NULL, 0, &said, err);
    buf_free(&said);
    strlist_free(&argv);
    free(tool);
    return ok;
}

/* The entry of the package `dir`, whose archive is `file` in `tree`; NULL: see err. */
static cJSON *entry_make(const char *dir, const char *tree, const char *file, struct err *err)
{
    static const char *const texts[][2] = {{"description", "Description"},
                                           {"language", "Language"}};
    char *name, *version, digest_line[DIGEST_TEXT], *path = path_join(tree, file);
    unsigned char digest[DIGEST_SIZE];
    struct stat st;
    cJSON *manifest = package_manifest(dir, err), *e = NULL;
    if (manifest && (stat(path, &st) < 0 || !digest_of_file(path, digest)))
        err_errno(err, "read", path);
    else if (manifest) {
        package_split(dir, &name, &version);
        digest_text(digest, digest_line);
        e = cJSON_CreateObject();
        cJSON_AddStringToObject(e, "name", name);
        cJSON_AddStringToObject(e, "version", version);
        for (size_t i = 0; i < 2; i++) {
            const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(manifest, texts[i][1]));
            cJSON_AddStringToObject(e, texts[i][0], text ? text : "");
        }
        cJSON_AddStringToObject(e, "arch", "amd64");
        cJSON_AddStringToObject(e, "file", file);
        cJSON_AddNumberToObject(e, "size", (double)st.st_size);
        cJSON_AddStringToObject(e, "sha256", digest_line);
        free(version);
        free(name);
    }
    cJSON_Delete(manifest);
    free(path);
    return e;
}

/* Archives one package into the tree; its entry replaces an older one of that name and version. */
static bool package_add_to(cJSON *list, const char *tree, const char *name, struct err *err)
{
    char *store = package_store_dir(err), *dir = store ? path_join(store, name) : NULL;
    char *file = alloc_printf("%s.tar.gz", name), *path = path_join(tree, file);
    char *part = path_join(tree, PART);
    cJSON *e = NULL;
    if (dir && package_archive(dir, name, part, err) &&
        (rename(part, path) == 0 || err_errno(err, "write", path)))
        e = entry_make(dir, tree, file, err);
    if (!e)
        unlink(part);
    for (int i = e ? cJSON_GetArraySize(list) : 0; i-- > 0;) {
        const cJSON *old = cJSON_GetObjectItem(cJSON_GetArrayItem(list, i), "file");
        if (cJSON_IsString(old) && strcmp(old->valuestring, file) == 0)
            cJSON_DeleteItemFromArray(list, i);
    }
    if (e)
        cJSON_AddItemToArray(list, e);
    free(part);
    free(path);
    free(file);
    free(dir);
    free(store);
    return e != NULL;
}

/* The index that is there, or a new one. */
static cJSON *index_old(const char *tree, struct err *err)
{
    size_t size;
    char *path = path_join(tree, REPO_INDEX);
    cJSON *index = NULL;
    if (access(path, F_OK) == 0) {
        char *text = path_read(path, INDEX_LIMIT, &size, err);
        index = text ? repo_index_parse(text, size, path, err) : NULL;
        free(text);
    } else {
        index = cJSON_CreateObject();
        cJSON_AddNumberToObject(index, "Serial", 0);
        cJSON_AddNumberToObject(index, "Expires", 0);
        cJSON_AddArrayToObject(index, "Packages");
    }
    free(path);
    return index;
}

static bool file_put(int dir, const char *name, const char *text, struct err *err)
{
    char *made = alloc_printf(".%s.new", name);
    bool ok = (path_write(dir, made, text, strlen(text)) && fchmodat(dir, made, 0644, 0) == 0 &&
               renameat(dir, made, dir, name) == 0) ||
              err_errno(err, "write", name);
    free(made);
    return ok;
}

static bool index_sign(cJSON *index, int dir, const struct minisign_secret *key, unsigned days,
                       struct err *err)
{
    double serial = cJSON_GetNumberValue(cJSON_GetObjectItem(index, "Serial")) + 1;
    double expires = days ? (double)time(NULL) + (double)days * DAY : 0;
    cJSON_ReplaceItemInObject(index, "Serial", cJSON_CreateNumber(serial));
    cJSON_ReplaceItemInObject(index, "Expires", cJSON_CreateNumber(expires));
    char *text = cJSON_Print(index), *comment = alloc_printf("serial %.0f", serial);
    char *signature = minisign_sign(key, text, strlen(text), comment);
    bool ok = file_put(dir, REPO_INDEX, text, err) && file_put(dir, REPO_SIGNATURE, signature, err);
    free(signature);
    free(comment);
    free(text);
    return ok;
}

bool package_publish(const char *tree, const struct strlist *names, const char *key, unsigned days,
                     struct err *err)
{
    struct minisign_secret secret;
    if (!minisign_secret_read(&secret, key, err))
        return false;
    int lock = path_lock(tree, err);
    cJSON *index = lock >= 0 ? index_old(tree, err) : NULL;
    bool ok = index != NULL;
    for (size_t i = 0; ok && i < names->count; i++)
        ok = package_add_to(cJSON_GetObjectItem(index, "Packages"), tree, names->items[i], err);
    ok = ok && index_sign(index, lock, &secret, days, err);
    cJSON_Delete(index);
    if (lock >= 0)
        close(lock);
    minisign_forget(&secret);
    return ok;
}
