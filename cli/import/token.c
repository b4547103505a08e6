/* SPDX-License-Identifier: Apache-2.0 */
/* Logging in to a registry: see token.h. */
#include "import/token.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "import/registry.h"
#include "ops/exit.h"

#define HUB_HOST  "registry-1.docker.io"
#define HUB_LOGIN "https://index.docker.io/v1/" /* how docker(1) calls it */
#define LIMIT     (1u << 20)

char *token_login(const char *docker_config, const char *host)
{
    cJSON *json = docker_config ? cJSON_Parse(docker_config) : NULL;
    const cJSON *auths = cJSON_GetObjectItemCaseSensitive(json, "auths"), *item;
    char *login = NULL;
    cJSON_ArrayForEach(item, auths)
    {
        const char *auth = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "auth"));
        const char *name = item->string ? item->string : "";
        const char *bare = strstr(name, "://") ? strstr(name, "://") + 3 : name;
        size_t n = strcspn(bare, "/");
        bool same = (strlen(host) == n && strncmp(bare, host, n) == 0) ||
                    (strcmp(host, HUB_HOST) == 0 && strcmp(name, HUB_LOGIN) == 0);
        if (same && auth && auth[0] && !login && !strpbrk(auth, "\r\n"))
            login = alloc_string(auth);
    }
    cJSON_Delete(json);
    return login;
}

char *token_word(const char *challenge, const char *word)
{
    size_t n = strlen(word);
    const char *p = strchr(challenge, ' ');
    while (p && *p) {
        p += strspn(p, " ,\t");
        bool mine = strncasecmp(p, word, n) == 0 && p[n] == '=';
        p += strcspn(p, "=");
        if (!*p)
            break;
        p++;
        bool quoted = *p == '"';
        p += quoted;
        size_t length = strcspn(p, quoted ? "\"" : ", \t");
        if (mine)
            return alloc_bytes(p, length);
        p += length;
        p += quoted && *p;
    }
    return NULL;
}

static void escaped_add(struct buf *b, const char *key, const char *value)
{
    buf_addf(b, "%s=", key);
    for (const char *p = value; *p; p++)
        if (isalnum((unsigned char)*p) || strchr("-._~:/,", *p))
            buf_add(b, p, 1);
        else
            buf_addf(b, "%%%02X", (unsigned char)*p);
}

static bool refused(const struct registry *r, const char *why, struct err *err)
{
    err_set(err, OPS_EXIT_FAILED, NULL, "%s wants a login for %s: %s", r->reference->host,
            r->reference->name, why);
    err_hint(err, "`docker login %s` or `skopeo login` writes one to ~/.docker/config.json",
             r->reference->host);
    return false;
}

static char *token_url(const struct registry *r, const char *challenge, const char *realm)
{
    char *service = token_word(challenge, "service"), *scope = token_word(challenge, "scope");
    char *own = alloc_printf("repository:%s:pull", r->reference->name);
    struct buf b = {0};
    buf_addf(&b, "%s%c", realm, strchr(realm, '?') ? '&' : '?');
    if (service) {
        escaped_add(&b, "service", service);
        buf_add(&b, "&", 1);
    }
    escaped_add(&b, "scope", scope ? scope : own);
    free(own);
    free(service);
    free(scope);
    return b.data;
}

static bool token_take(struct registry *r, const char *text, struct err *err)
{
    cJSON *json = text ? cJSON_Parse(text) : NULL;
    const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "token"));
    if (!token)
        token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "access_token"));
    bool ok = token && token[0] && !strpbrk(token, "\r\n");
    if (ok)
        r->bearer = alloc_printf("Authorization: Bearer %s", token);
    cJSON_Delete(json);
    return ok || refused(r, "its token service gave none", err);
}

static bool bearer_get(struct registry *r, const char *challenge, struct err *err)
{
    char *realm = token_word(challenge, "realm");
    bool secure = strncmp(r->base, "https:", 6) == 0;
    if (!realm ||
        (strncmp(realm, "https://", 8) != 0 && (secure || strncmp(realm, "http://", 7) != 0))) {
        free(realm);
        return refused(r, "it does not say where, or somewhere less safe", err);
    }
    char *url = token_url(r, challenge, realm);
    struct strlist headers = {0};
    if (r->login)
        strlist_addf(&headers, "Authorization: Basic %s", r->login);
    struct fetch f = {.url = url,
                      .headers = &headers,
                      .limit = LIMIT,
                      .fd = -1,
                      .status = -1,
                      .stall = r->stall,
                      .any_code = true};
    bool ok = fetch_run(&f, err);
    if (ok && (f.code == 401 || f.code == 403))
        ok = refused(r, r->login ? "name or password are wrong" : "there is none", err);
    else if (ok)
        ok = token_take(r, f.code < 400 ? f.body.data : NULL, err);
    fetch_free(&f);
    strlist_free(&headers);
    free(url);
    free(realm);
    return ok;
}

bool token_get(struct registry *r, const char *challenge, struct err *err)
{
    free(r->bearer);
    r->bearer = NULL;
    if (challenge && strncasecmp(challenge, "Bearer ", 7) == 0)
        return bearer_get(r, challenge, err);
    if (!challenge || strncasecmp(challenge, "Basic", 5) != 0)
        return refused(r, "in a way that is not known here", err);
    if (!r->login)
        return refused(r, "there is none", err);
    r->bearer = alloc_printf("Authorization: Basic %s", r->login);
    return true;
}
