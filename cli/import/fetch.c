/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching with libcurl: see fetch.h. */
#include "import/fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "ops/exit.h"

#define HEADERS_LIMIT (256u << 10) /* bytes of an answer's header */
#define TEXT_LIMIT    4096u        /* of a refusal's body */
#define SNIFF         512u
#define SHOW_EVERY    100 /* ms */

struct transfer {
    struct fetch *f;
    CURL *curl;
    uint64_t total; /* of the whole file; 0: unknown */
    size_t header_bytes;
    unsigned char head[SNIFF];
    size_t head_size;
    struct timespec shown;
    bool started;
    struct err *err;
    char *url;   /* the one asked now */
    char *range; /* Content-Range */
};

char *fetch_shown(const char *url)
{
    const char *host = strstr(url, "://");
    if (!host)
        return alloc_string(url);
    host += 3;
    size_t n = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', n);
    return at ? alloc_printf("%.*s%s", (int)(host - url), url, at + 1) : alloc_string(url);
}

bool fetch_is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool failed(struct transfer *t, const char *hint, const char *why)
{
    char *shown = fetch_shown(t->url);
    if (!t->err->message) /* the first one counts */
        err_set(t->err, OPS_EXIT_FAILED, hint, "cannot fetch %s: %s", shown, why);
    free(shown);
    return false;
}

static void show(struct transfer *t, bool last)
{
    struct timespec now;
    if (t->f->status < 0 || !t->f->what)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long ms = (now.tv_sec - t->shown.tv_sec) * 1000 + (now.tv_nsec - t->shown.tv_nsec) / 1000000;
    if (!last && ms < SHOW_EVERY)
        return;
    t->shown = now;
    dprintf(t->f->status, "progress %llu %llu %s\n", (unsigned long long)t->f->at,
            (unsigned long long)t->total, t->f->what);
}

static void value_take(char **to, const char *line, size_t n)
{
    while (n && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' '))
        n--;
    while (n && (*line == ' ' || *line == '\t'))
        line++, n--;
    free(*to);
    *to = alloc_bytes(line, n);
}

static size_t on_header(char *line, size_t one, size_t n, void *context)
{
    struct transfer *t = context;
    struct fetch *f = t->f;
    const struct {
        const char *name;
        char **to;
    } wanted[] = {{"www-authenticate:", &f->challenge},
                  {"content-type:", &f->type},
                  {"docker-content-digest:", &f->digest},
                  {"content-range:", &t->range},
                  {"etag:", &f->new_validator}};
    (void)one;
    t->header_bytes += n;
    if (t->header_bytes > HEADERS_LIMIT) {
        failed(t, NULL, "the answer's header has no end");
        return 0;
    }
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        size_t length = strlen(wanted[i].name);
        if (n > length && strncasecmp(line, wanted[i].name, length) == 0)
            value_take(wanted[i].to, line + length, n - length);
    }
    /* Only a strong tag names one version byte for byte. */
    if (f->new_validator && strncmp(f->new_validator, "W/", 2) == 0) {
        free(f->new_validator);
        f->new_validator = NULL;
    }
    return n;
}

static bool is_page(const struct transfer *t)
{
    static const char *const begins[] = {"<!doctype html", "<html", "<head"};
    const char *p = (const char *)t->head;
    size_t n = t->head_size;
    if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3, n -= 3;
    while (n && strchr(" \t\r\n", *p))
        p++, n--;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (n >= strlen(begins[i]) && strncasecmp(p, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

/* Is the part that comes the one that was asked for? */
static bool range_right(const struct transfer *t)
{
    char *end;
    if (!t->f->from || !t->range || strncasecmp(t->range, "bytes ", 6) != 0)
        return false;
    return strtoull(t->range + 6, &end, 10) == t->f->from && *end == '-';
}

/* The first bytes of a good answer: where they go. */
static bool start(struct transfer *t)
{
    struct fetch *f = t->f;
    curl_off_t length = -1;
    t->started = true;
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (f->code == 206 && !range_right(t))
        return failed(t, NULL, "another part of the file came than was asked for");
    if (f->code != 206)
        f->at = 0; /* all of it comes */
    if (f->code != 206 && f->fd >= 0 && ftruncate(f->fd, 0) < 0)
        return failed(t, NULL, strerror(errno));
    t->total = length > 0 ? f->at + (uint64_t)length : 0;
    if (t->total > f->limit)
        return failed(t, "is it the right file?", "it is larger than is allowed here");
    return true;
}

static bool put(struct transfer *t, const char *bytes, size_t n)
{
    struct fetch *f = t->f;
    if (f->at + n > f->limit)
        return failed(t, "is it the right file?", "it is larger than is allowed here");
    if (f->fd < 0)
        buf_add(&f->body, bytes, n);
    for (size_t done = 0; f->fd >= 0 && done < n;) {
        ssize_t w = pwrite(f->fd, bytes + done, n - done, (off_t)(f->at + done));
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return failed(t, "free some space there", strerror(errno));
        done += (size_t)w;
    }
    f->at += n;
    show(t, false);
    return true;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *context)
{
    struct transfer *t = context;
    struct fetch *f = t->f;
    (void)one;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &f->code);
    if (f->code >= 300) { /* a redirect, or a refusal, which may say why */
        size_t room = f->body.size < TEXT_LIMIT ? TEXT_LIMIT - f->body.size : 0;
        buf_add(&f->body, bytes, n < room ? n : room);
        t->header_bytes += n;
        return t->header_bytes <= 4 * HEADERS_LIMIT ? n : 0;
    }
    if (!t->started && !start(t))
        return 0;
    size_t take = n < SNIFF - t->head_size ? n : SNIFF - t->head_size;
    if (f->from == 0 && take) {
        memcpy(t->head + t->head_size, bytes, take);
        t->head_size += take;
        if (is_page(t)) {
            failed(t, "is a proxy or a login in between, or the address not that of the file?",
                   "a web page came instead of a file");
            return 0;
        }
    }
    return put(t, bytes, n) ? n : 0;
}

static struct curl_slist *headers_make(const struct fetch *f, bool own)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; own && f->headers && i < f->headers->count; i++)
        list = curl_slist_append(list, f->headers->items[i]);
    if (f->from) {
        char *range = alloc_printf("Range: bytes=%llu-", (unsigned long long)f->from);
        char *same = f->validator ? alloc_printf("If-Range: %s", f->validator) : NULL;
        list = curl_slist_append(list, range);
        if (same)
            list = curl_slist_append(list, same);
        free(range);
        free(same);
    }
    return list;
}

static void options_set(struct transfer *t, const struct curl_slist *headers)
{
    CURL *c = t->curl;
    long stall = t->f->stall ? t->f->stall : FETCH_STALL;
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, t->url);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "ops/" OPS_VERSION);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,file");
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)FETCH_SLOW);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, stall);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, stall);
}

static bool curl_failed(struct transfer *t, CURLcode code)
{
    char *why = NULL;
    const char *hint = "check the address and the network";
    struct fetch *f = t->f;
    if (code == CURLE_OPERATION_TIMEDOUT)
        why = alloc_printf("the server is silent or too slow; %llu bytes had come",
                           (unsigned long long)f->at);
    else if (code == CURLE_PARTIAL_FILE && t->total)
        why = alloc_printf("it ended after %llu of %llu bytes", (unsigned long long)f->at,
                           (unsigned long long)t->total);
    else
        why = alloc_string(curl_easy_strerror(code));
    f->broken = !t->err->message && code != CURLE_URL_MALFORMAT &&
                code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_FILE_COULDNT_READ_FILE;
    failed(t, hint, why);
    free(why);
    return false;
}

/* Scheme and host of a URL with its port, for comparing. NULL: it is none. */
static char *url_part(const char *url, CURLUPart part)
{
    CURLU *u = curl_url();
    char *text = NULL, *copy = NULL;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK)
        copy = alloc_string(text);
    curl_free(text);
    curl_url_cleanup(u);
    return copy;
}

static bool same_part(const char *a, const char *b, CURLUPart part)
{
    char *one = url_part(a, part), *two = url_part(b, part);
    bool same = one && two && strcasecmp(one, two) == 0;
    free(one);
    free(two);
    return same;
}

/* Takes the redirect's address for t->url. *own: the headers may still go there. */
static bool redirect(struct transfer *t, bool *own)
{
    char *next = NULL;
    curl_easy_getinfo(t->curl, CURLINFO_REDIRECT_URL, &next);
    if (!next)
        return failed(t, NULL, "it is a redirect that leads nowhere");
    bool secure = strncasecmp(t->url, "https:", 6) == 0;
    if (strncasecmp(next, "https:", 6) != 0 && (secure || strncasecmp(next, "http:", 5) != 0))
        return failed(t, NULL,
                      secure ? "it is redirected from HTTPS to something less safe"
                             : "it is redirected to something else than HTTP");
    *own = *own && same_part(t->url, next, CURLUPART_HOST) &&
           same_part(t->url, next, CURLUPART_PORT) && same_part(t->url, next, CURLUPART_SCHEME);
    char *copy = alloc_string(next);
    free(t->url);
    t->url = copy;
    return true;
}

static bool code_check(struct transfer *t)
{
    struct fetch *f = t->f;
    if (f->code < 400 || f->any_code)
        return true;
    const char *word = f->code == 404   ? "there is no such file"
                       : f->code == 401 ? "it needs a login"
                       : f->code == 403 ? "it is forbidden"
                       : f->code >= 500 ? "the server has failed"
                                        : "the server refuses";
    char *why = alloc_printf("%s (HTTP %ld)", word, f->code);
    failed(t, f->code == 404 ? "check the address" : NULL, why);
    free(why);
    return false;
}

static bool ask(struct transfer *t, bool own)
{
    struct fetch *f = t->f;
    struct curl_slist *headers = headers_make(f, own);
    t->header_bytes = t->head_size = 0;
    t->started = false;
    t->total = 0;
    f->code = 0;
    f->at = f->from;
    f->body.size = 0;
    options_set(t, headers);
    CURLcode code = curl_easy_perform(t->curl);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &f->code);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return curl_failed(t, code);
    bool redirected = f->code >= 300 && f->code < 400;
    return redirected || f->code >= 400 || t->started || start(t); /* an empty file has no body */
}

static bool ask_all(struct transfer *t)
{
    bool own = true;
    for (unsigned n = 0; n <= FETCH_REDIRECTS; n++) {
        if (!ask(t, own))
            return false;
        if (t->f->code < 300 || t->f->code >= 400)
            return code_check(t);
        if (!redirect(t, &own))
            return false;
    }
    return failed(t, NULL, "it is redirected again and again");
}

bool fetch_run(struct fetch *f, struct err *err)
{
    struct transfer t = {.f = f, .err = err, .url = alloc_string(f->url)};
    signal(SIGPIPE, SIG_IGN);
    t.curl = curl_easy_init();
    bool ok = t.curl ? ask_all(&t) : failed(&t, NULL, "libcurl cannot start");
    if (ok)
        show(&t, true);
    curl_easy_cleanup(t.curl);
    free(t.url);
    free(t.range);
    return ok;
}

void fetch_free(struct fetch *f)
{
    buf_free(&f->body);
    free(f->challenge);
    free(f->type);
    free(f->digest);
    free(f->new_validator);
}
