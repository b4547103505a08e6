/* SPDX-License-Identifier: Apache-2.0 */
/* What takes how much room: see treemap.h. */
#include "treemap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "verbs.h"
#include "xml.h"

#define WIDTH  1200
#define HEIGHT 800
#define TOP    40
#define BAND   14.0 /* of a directory, with its name */
#define LEAST  4.0  /* smaller ones are not divided */
#define LETTER 6.0
#define SHADES 6

struct node {
    const char *name; /* in the path of a file */
    size_t length;
    uint64_t size;
    struct node *children;
    size_t count;
};

struct rect {
    double x, y, w, h;
};

static struct node *child_of(struct node *n, const char *name, size_t length)
{
    struct node *last = n->count ? &n->children[n->count - 1] : NULL;
    if (last && last->length == length && strncmp(last->name, name, length) == 0)
        return last; /* files of one directory follow each other */
    if (n->count % 16 == 0)
        n->children = alloc_array(n->children, n->count + 16, sizeof *n->children);
    n->children[n->count] = (struct node){.name = name, .length = length};
    return &n->children[n->count++];
}

static void path_add(struct node *root, const char *path, uint64_t size)
{
    root->size += size;
    for (const char *at = path; *at;) {
        at += *at == '/';
        size_t n = strcspn(at, "/");
        root = child_of(root, at, n);
        root->size += size;
        at += n;
    }
}

static int by_size(const void *a, const void *b)
{
    const struct node *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    int order = strncmp(x->name, y->name, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static void node_sort(struct node *n)
{
    if (n->count)
        qsort(n->children, n->count, sizeof *n->children, by_size);
    for (size_t i = 0; i < n->count; i++)
        node_sort(&n->children[i]);
}

static void node_free(struct node *n)
{
    for (size_t i = 0; i < n->count; i++)
        node_free(&n->children[i]);
    free(n->children);
}

/* How far from a square the worst of `count` areas in a row along `side` is. */
static double row_worst(const struct node *n, size_t count, double scale, double side)
{
    double sum = 0, worst = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)n[i].size * scale;
    for (size_t i = 0; i < count; i++) {
        double area = (double)n[i].size * scale, wide = sum / side, high = area / wide;
        double ratio = wide > high ? wide / high : high / wide;
        worst = ratio > worst ? ratio : worst;
    }
    return worst;
}

static void name_draw(struct buf *to, const struct node *n, const struct rect *r)
{
    size_t room = r->w > 8 ? (size_t)((r->w - 8) / LETTER) : 0;
    if (r->h < BAND || room < 3)
        return;
    char *name = alloc_bytes(n->name, n->length < room ? n->length : room), *text = xml_text(name);
    buf_addf(to, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", r->x + 3, r->y + 11, text);
    free(text);
    free(name);
}

static void node_draw(struct buf *to, const struct node *n, const char *above, struct rect r,
                      unsigned depth);

/* A row of children along the shorter side of what is left. */
static void row_draw(struct buf *to, const struct node *n, size_t count, double scale,
                     const char *path, struct rect *left, unsigned depth)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)n[i].size * scale;
    bool upright = left->w >= left->h;
    double wide = sum / (upright ? left->h : left->w), at = 0;
    for (size_t i = 0; i < count; i++) {
        double high = (double)n[i].size * scale / wide;
        struct rect r = upright ? (struct rect){left->x, left->y + at, wide, high}
                                : (struct rect){left->x + at, left->y, high, wide};
        node_draw(to, &n[i], path, r, depth);
        at += high;
    }
    if (upright) {
        left->x += wide;
        left->w -= wide;
    } else {
        left->y += wide;
        left->h -= wide;
    }
}

static void children_draw(struct buf *to, const struct node *n, const char *path, struct rect left,
                          unsigned depth)
{
    double scale = left.w * left.h / (double)n->size;
    size_t shown = 0;
    while (shown < n->count && n->children[shown].size)
        shown++; /* empty files have no area */
    for (size_t done = 0; done < shown;) {
        double side = left.w < left.h ? left.w : left.h;
        size_t count = 1;
        while (done + count < shown && row_worst(n->children + done, count + 1, scale, side) <=
                                           row_worst(n->children + done, count, scale, side))
            count++;
        row_draw(to, n->children + done, count, scale, path, &left, depth);
        done += count;
    }
}

static void node_draw(struct buf *to, const struct node *n, const char *above, struct rect r,
                      unsigned depth)
{
    char *path = alloc_printf("%s/%.*s", above, (int)n->length, n->name), *text = xml_text(path);
    char *size = verb_size((double)n->size);
    buf_addf(to,
             "<g class=\"s%u\"><title>%s: %s</title>"
             "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
             n->count ? depth % SHADES : SHADES, text, size, r.x, r.y, r.w, r.h);
    name_draw(to, n, &r);
    buf_addf(to, "</g>\n");
    struct rect inner = {r.x + 1, r.y + BAND, r.w - 2, r.h - BAND - 1};
    if (n->count && inner.w > LEAST && inner.h > LEAST)
        children_draw(to, n, path, inner, depth + 1);
    free(size);
    free(text);
    free(path);
}

void treemap_draw(struct buf *to, const char *title, const struct image_files *files)
{
    struct node root = {0};
    for (size_t i = 0; i < files->count; i++)
        path_add(&root, files->items[i].path, files->items[i].size);
    node_sort(&root);
    char *name = xml_text(title), *size = verb_size((double)root.size);
    buf_addf(to,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
             "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"10\">\n"
             "<style>rect{stroke:#fff;stroke-width:.5}.title{font-size:15px}"
             ".s0 rect{fill:#4c78a8}.s1 rect{fill:#72b7b2}.s2 rect{fill:#54a24b}"
             ".s3 rect{fill:#eeca3b}.s4 rect{fill:#f58518}.s5 rect{fill:#9d755d}"
             ".s6 rect{fill:#d8e2ec}</style>\n"
             "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
             "<text class=\"title\" x=\"8\" y=\"26\">%s: %s in %zu files</text>\n",
             WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT, name, size, files->count);
    if (root.size)
        children_draw(to, &root, "", (struct rect){0, TOP, WIDTH, HEIGHT - TOP}, 0);
    buf_addf(to, "</svg>\n");
    free(size);
    free(name);
    node_free(&root);
}
