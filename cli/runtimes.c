/* SPDX-License-Identifier: Apache-2.0 */
/* The table of run-time trees: see runtimes.h. */
#include "runtimes.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"

#define LIBDIR "/usr/lib/x86_64-linux-gnu"

/*
 * `name` is the start of the file name (symlinks followed). In a path `%` is the version that
 * follows it (3.11 of python3.11) and a leading `@` the directory above the program's own.
 */
static const struct runtime {
    const char *name;
    bool library;
    const char *paths[9];
} runtimes[] = {
    {"python",
     false,
     {"@/lib/python%", "/usr/lib/python3/dist-packages", "/usr/local/lib/python%", "/etc/python%"}},
    {"perl",
     false,
     {"/etc/perl", "/usr/local/lib/x86_64-linux-gnu/perl", "/usr/local/share/perl", LIBDIR "/perl5",
      "/usr/share/perl5", LIBDIR "/perl", "/usr/share/perl", LIBDIR "/perl-base"}},
    {"lua",
     false,
     {"/usr/share/lua/%", LIBDIR "/lua/%", "/usr/local/share/lua/%", "/usr/local/lib/lua/%"}},
    {"gawk", false, {"/usr/share/awk", LIBDIR "/gawk"}},
    {"ruby", false, {"/usr/lib/ruby", LIBDIR "/ruby", "/usr/share/rubygems-integration"}},
    {"node", false, {"/usr/share/nodejs", "/usr/share/node_modules"}},
    {"php", false, {"/usr/lib/php", "/etc/php/%/cli", "/usr/share/php", "/usr/share/zoneinfo"}},
    {"guile", false, {"/usr/share/guile", LIBDIR "/guile", "/usr/share/guile-3.0"}},
    {"tclsh", false, {"/usr/share/tcltk/tcl%"}},
    {"java", false, {"@/lib", "@/conf"}},
    {"libcrypto.so.",
     true,
     {"/usr/lib/ssl/openssl.cnf", LIBDIR "/ossl-modules", LIBDIR "/engines-3"}},
    {"libc.so.", true, {"/usr/lib/locale/C.utf8"}},
    {"libtinfo.so.", true, {"/lib/terminfo"}},
    {"libmagic.so.", true, {"/etc/magic", "/usr/share/misc/magic.mgc"}},
};

bool runtimes_seen(void *context, const char *path, const char *source, struct err *err)
{
    (void)path;
    const char *so = strstr(path_basename(source), ".so");
    return !so || (so[3] && so[3] != '.') || deps_plugin(context, source, err);
}

static char *path_fill(const char *path, const char *prefix, const char *version)
{
    struct buf b = {0};
    for (; *path; path++) {
        if (*path == '@')
            buf_addf(&b, "%s", prefix);
        else if (*path == '%')
            buf_addf(&b, "%s", version);
        else
            buf_add(&b, path, 1);
    }
    return b.data;
}

static bool path_add(struct tree *t, struct deps *d, const char *path, const char *why,
                     struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return true;
    if (!tree_mirror(t, path, why, err) || !S_ISDIR(st.st_mode))
        return !err->message;
    char *real = realpath(path, NULL);
    bool ok = !real || tree_add_all(t, real, real, why, runtimes_seen, d, err);
    free(real);
    return ok;
}

static bool runtime_add(struct tree *t, struct deps *d, const struct runtime *r, const char *name,
                        const char *prefix, struct err *err)
{
    char *version = alloc_string(name + strlen(r->name));
    char *why = alloc_printf("%s opens it at run time", name);
    bool ok = true;
    for (size_t i = 0; ok && r->paths[i]; i++) {
        char *path = path_fill(r->paths[i], prefix, version);
        ok = path_add(t, d, path, why, err);
        free(path);
    }
    free(why);
    free(version);
    return ok;
}

static bool name_matches(const struct runtime *r, const char *name)
{
    size_t n = strlen(r->name);
    return strncmp(name, r->name, n) == 0 && (name[n] == 0 || isdigit((unsigned char)name[n]));
}

bool runtimes_add(struct tree *t, struct deps *d, const char *program, struct err *err)
{
    char *real = realpath(program, NULL);
    const char *name = path_basename(real ? real : program);
    char *bin = path_dirname(real ? real : program), *prefix = path_dirname(bin);
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof runtimes / sizeof runtimes[0]; i++) {
        const struct runtime *r = &runtimes[i];
        if (!r->library && name_matches(r, name))
            ok = runtime_add(t, d, r, name, prefix, err);
    }
    for (size_t i = 0; ok && i < sizeof runtimes / sizeof runtimes[0]; i++) {
        const struct runtime *r = &runtimes[i];
        if (r->library && deps_has(d, r->name))
            ok = runtime_add(t, d, r, r->name, prefix, err);
    }
    free(prefix);
    free(bin);
    free(real);
    return ok;
}
