/* SPDX-License-Identifier: Apache-2.0 */
/* Formatting: see fmt.h. One pass, output clipped to the buffer but counted whole. */
#include "lib/fmt.h"

#include "lib/string.h"

struct out {
    char *buf;
    size_t size, len;
};

struct spec {
    bool left, zero, plus, alt;
    int width, precision; /* precision -1: none given */
    int length;           /* -2 hh, -1 h, 0, 1 l/z, 2 ll */
};

static void out_char(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void out_padded(struct out *o, const struct spec *s, const char *prefix, const char *body,
                       size_t body_len, size_t zeros)
{
    size_t prefix_len = strlen(prefix), total = prefix_len + zeros + body_len;
    size_t pad = s->width > 0 && (size_t)s->width > total ? (size_t)s->width - total : 0;
    if (pad && s->zero && !s->left) {
        zeros += pad;
        pad = 0;
    }
    for (; pad && !s->left; pad--)
        out_char(o, ' ');
    while (*prefix)
        out_char(o, *prefix++);
    while (zeros--)
        out_char(o, '0');
    while (body_len--)
        out_char(o, *body++);
    while (pad--)
        out_char(o, ' ');
}

static void out_number(struct out *o, struct spec *s, uint64_t v, unsigned base, bool upper,
                       const char *prefix)
{
    char digits[24];
    size_t n = 0;
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (; v; v /= base)
        digits[sizeof digits - ++n] = set[v % base];
    if (!n && s->precision != 0)
        digits[sizeof digits - ++n] = '0';
    size_t zeros = s->precision > 0 && (size_t)s->precision > n ? (size_t)s->precision - n : 0;
    if (s->precision >= 0)
        s->zero = false;
    out_padded(o, s, prefix, digits + sizeof digits - n, n, zeros);
}

static uint64_t arg_unsigned(va_list *ap, int length)
{
    uint64_t v = length > 0 ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned);
    return length == -2 ? (uint8_t)v : length == -1 ? (uint16_t)v : v;
}

static int64_t arg_signed(va_list *ap, int length)
{
    int64_t v = length > 0 ? va_arg(*ap, long) : va_arg(*ap, int);
    return length == -2 ? (int8_t)v : length == -1 ? (int16_t)v : v;
}

static int parse_count(const char **f, va_list *ap)
{
    if (**f == '*') {
        ++*f;
        return va_arg(*ap, int);
    }
    int n = 0;
    for (; **f >= '0' && **f <= '9'; ++*f)
        n = n * 10 + **f - '0';
    return n;
}

static struct spec parse_spec(const char **f, va_list *ap)
{
    struct spec s = {.precision = -1};
    for (;; ++*f) {
        if (**f == '-')
            s.left = true;
        else if (**f == '0')
            s.zero = true;
        else if (**f == '+')
            s.plus = true;
        else if (**f == '#')
            s.alt = true;
        else
            break;
    }
    s.width = parse_count(f, ap);
    if (s.width < 0) {
        s.left = true;
        s.width = -s.width;
    }
    if (**f == '.') {
        ++*f;
        s.precision = parse_count(f, ap);
    }
    for (; **f == 'h' || **f == 'l' || **f == 'z'; ++*f)
        s.length += **f == 'h' ? -1 : 1;
    return s;
}

static void out_spec(struct out *o, char c, struct spec *s, va_list *ap)
{
    if (c == 'd' || c == 'i') {
        int64_t v = arg_signed(ap, s->length);
        out_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, false,
                   v < 0     ? "-"
                   : s->plus ? "+"
                             : "");
    } else if (c == 'u') {
        out_number(o, s, arg_unsigned(ap, s->length), 10, false, "");
    } else if (c == 'o') {
        out_number(o, s, arg_unsigned(ap, s->length), 8, false, s->alt ? "0" : "");
    } else if (c == 'x' || c == 'X') {
        uint64_t v = arg_unsigned(ap, s->length);
        out_number(o, s, v, 16, c == 'X', s->alt && v ? (c == 'X' ? "0X" : "0x") : "");
    } else if (c == 'p') {
        out_number(o, s, (uint64_t)va_arg(*ap, void *), 16, false, "0x");
    } else if (c == 's') {
        const char *str = va_arg(*ap, const char *);
        if (!str)
            str = "(null)";
        s->zero = false;
        out_padded(o, s, "", str,
                   s->precision >= 0 ? strnlen(str, (size_t)s->precision) : strlen(str), 0);
    } else if (c == 'c') {
        char ch = (char)va_arg(*ap, int);
        s->zero = false;
        out_padded(o, s, "", &ch, 1, 0);
    } else {
        out_char(o, c);
    }
}

int vsnprintf(char *buf, size_t n, const char *fmt, va_list ap)
{
    struct out o = {buf, n, 0};
    va_list args;
    va_copy(args, ap);
    while (*fmt) {
        if (*fmt != '%') {
            out_char(&o, *fmt++);
            continue;
        }
        fmt++;
        struct spec s = parse_spec(&fmt, &args);
        if (!*fmt)
            break;
        out_spec(&o, *fmt++, &s, &args);
    }
    va_end(args);
    if (n)
        buf[MIN(o.len, n - 1)] = '\0';
    return (int)o.len;
}

int snprintf(char *buf, size_t n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(buf, n, fmt, ap);
    va_end(ap);
    return len;
}
