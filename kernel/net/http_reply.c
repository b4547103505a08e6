/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of HTTP servers: see http_reply.h. */
#include "net/http_reply.h"

#include <errno.h>

#include "lib/string.h"

#define VERSION     "HTTP/1."
#define STATUS_LEN  13u /* "HTTP/1.1 200 " */
#define LENGTH_MAX  (1u << 30)
#define NO_CONTENT  204
#define UNCHANGED   304
#define INFORMATION 200 /* below */

/* Behind the next CRLF; NULL: there is none. */
static char *line_end(char *p, const char *end)
{
    while (p && p < end) {
        p = memchr(p, '\r', (size_t)(end - p));
        if (p && p + 1 < end && p[1] == '\n')
            return p + 2;
        p = p ? p + 1 : NULL;
    }
    return NULL;
}

/* Behind the empty line that ends the head; NULL: it has not come. */
static char *head_end(char *p, const char *end)
{
    for (char *next = line_end(p, end); next; p = next, next = line_end(p, end))
        if (next == p + 2)
            return next;
    return NULL;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool text_is(const char *p, size_t len, const char *want)
{
    size_t i = 0;
    while (i < len && want[i] && lower(p[i]) == lower(want[i]))
        i++;
    return i == len && !want[i];
}

const char *http_reply_header(const struct http_reply *r, const char *name, size_t *len)
{
    const char *p = r->head, *end = r->head + r->head_len;
    while (p < end) {
        const char *stop = memchr(p, '\r', (size_t)(end - p));
        const char *colon = stop ? memchr(p, ':', (size_t)(stop - p)) : NULL;
        if (!stop)
            break;
        if (colon && text_is(p, (size_t)(colon - p), name)) {
            for (colon++; colon < stop && (*colon == ' ' || *colon == '\t'); colon++)
                ;
            while (stop > colon && (stop[-1] == ' ' || stop[-1] == '\t'))
                stop--;
            *len = (size_t)(stop - colon);
            return colon;
        }
        p = stop + 1;
        p += p < end && *p == '\n';
    }
    return NULL;
}

/* A number to the last byte; false: it is none. */
static bool number_parse(const char *p, size_t len, unsigned base, size_t *out)
{
    size_t v = 0;
    for (size_t i = 0; i < len; i++) {
        char c = lower(p[i]);
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : base;
        v = v * base + digit;
        if (digit >= base || v > LENGTH_MAX)
            return false;
    }
    *out = v;
    return len;
}

/* Chunks from `p` on: where they would lie one behind the other, and with `move` they do. */
static int chunks_join(char *p, char *end, bool move, struct http_reply *r)
{
    char *to = r->body;
    for (;;) {
        size_t size, digits = 0;
        char *data = line_end(p, end);
        if (!data)
            return -EAGAIN;
        while (p[digits] != '\r' && p[digits] != ';')
            digits++;
        if (!number_parse(p, digits, 16, &size))
            return -EPROTO;
        if (!size)
            break; /* trailers are not looked at */
        if ((size_t)(end - data) < size + 2)
            return -EAGAIN;
        if (data[size] != '\r' || data[size + 1] != '\n')
            return -EPROTO;
        if (move)
            memmove(to, data, size);
        to += size;
        p = data + size + 2;
    }
    r->len = (size_t)(to - r->body);
    return 0;
}

/* What the head says of the body's length. */
static int body_find(char *end, bool closed, struct http_reply *r)
{
    size_t len, have = (size_t)(end - r->body);
    const char *coding = http_reply_header(r, "Transfer-Encoding", &len);
    if (coding) {
        size_t other;
        if (!text_is(coding, len, "chunked") || http_reply_header(r, "Content-Length", &other))
            return -EPROTO;
        int err = chunks_join(r->body, end, false, r);
        return err ? err == -EAGAIN && closed ? -EPROTO : err : chunks_join(r->body, end, true, r);
    }
    const char *length = http_reply_header(r, "Content-Length", &len);
    if (!length) {
        r->len = have;
        return closed ? 0 : -EAGAIN;
    }
    if (!number_parse(length, len, 10, &r->len))
        return -EPROTO;
    return have >= r->len ? 0 : closed ? -EPROTO : -EAGAIN;
}

int http_reply_parse(char *text, size_t n, bool closed, struct http_reply *r)
{
    size_t status;
    char *end = text + n, *head = line_end(text, end);
    size_t version = strlen(VERSION);
    if (n >= version && memcmp(text, VERSION, version))
        return -EPROTO;
    if (!head)
        return closed ? -EPROTO : -EAGAIN;
    if ((size_t)(head - text) < STATUS_LEN || text[version + 1] != ' ' ||
        !number_parse(text + version + 2, 3, 10, &status) || status < INFORMATION)
        return -EPROTO;
    r->status = (unsigned)status;
    r->head = head;
    r->body = head_end(head, end);
    if (!r->body)
        return closed ? -EPROTO : -EAGAIN;
    r->head_len = (size_t)(r->body - head);
    r->len = 0;
    return status == NO_CONTENT || status == UNCHANGED ? 0 : body_find(end, closed, r);
}
