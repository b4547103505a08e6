/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of a start: see bootchart.h. */
#include "bootchart.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"

#define STEPS_MOST 16
#define PORTS_MOST 16
#define NAMED_MOST 60 /* characters of a name that is shown */

/* In order, with what the time before each was spent on. */
static const struct {
    const char *name, *what;
} phases[] = {
    {"entry", "firmware and loading the kernel"},
    {"memory", "page frames and page tables"},
    {"core", "manifest and threads"},
    {"devices", "devices"},
    {"root", "root filesystem"},
    {"process", "network and control channel"},
    {"cpus", "clock and CPUs"},
    {"mounts", "volumes and shares"},
};
#define PHASES (sizeof phases / sizeof phases[0])

static struct {
    int fd; /* 0: there is no chart */
    char *path, *subject;
    struct step {
        const char *what;
        int64_t end;
    } steps[STEPS_MOST];
    size_t step_count;
    int64_t begin, machine, started, ended; /* ns of CLOCK_MONOTONIC; 0: not yet */
    int64_t phase[PHASES];                  /* ns since power-on; -1: not told */
    struct port {
        unsigned number;
        int64_t at;
    } ports[PORTS_MOST];
    size_t port_count;
    bool failed; /* the last write */
} chart;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void chart_begin(void)
{
    chart.begin = now_ns();
}

/* The drawing: names on the left, a bar each, its length behind it. */
#define WIDTH     960
#define LEFT      250
#define BARS      560 /* their whole width */
#define ROW       22
#define TOP       64
#define AXIS_LAST 10 /* lines of the scale at most */

struct drawing {
    struct buf rows;
    int64_t length; /* ns of the whole */
    int y;
};

static void text_add(struct buf *b, const char *text)
{
    size_t count = 0;
    for (; *text && count < NAMED_MOST; text++, count++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<' || c == '>' || c == '&' || c == '"')
            buf_addf(b, "&#%d;", c);
        else
            buf_addf(b, "%c", c < 0x20 || c >= 0x7f ? '?' : c);
    }
}

static double place(const struct drawing *d, int64_t ns)
{
    return LEFT + (double)ns * BARS / (double)d->length;
}

static void bar_add(struct drawing *d, const char *kind, const char *what, int64_t from, int64_t to)
{
    double x = place(d, from), width = place(d, to) - x;
    buf_addf(&d->rows, "<text class=\"name\" x=\"%d\" y=\"%d\">", LEFT - 8, d->y + 15);
    text_add(&d->rows, what);
    buf_addf(&d->rows,
             "</text>\n<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n"
             "<text x=\"%.1f\" y=\"%d\">%.1f ms</text>\n",
             kind, x, d->y + 3, width < 1 ? 1.0 : width, ROW - 6, place(d, to) + 6, d->y + 15,
             (double)(to - from) / 1e6);
    d->y += ROW;
}

static void mark_add(struct drawing *d, const char *what, int64_t at)
{
    double x = place(d, at);
    buf_addf(&d->rows, "<text class=\"name\" x=\"%d\" y=\"%d\">", LEFT - 8, d->y + 15);
    text_add(&d->rows, what);
    buf_addf(&d->rows,
             "</text>\n<path class=\"mark\" d=\"M%.1f %d l6 8 l-6 8 l-6 -8 z\"/>\n"
             "<text x=\"%.1f\" y=\"%d\">at %.1f ms</text>\n",
             x, d->y + 3, x + 10, d->y + 15, (double)at / 1e6);
    d->y += ROW;
}

/* When the machine was switched on, by its own clock; where that contradicts ours, QEMU's start. */
static int64_t power_on(int64_t machine)
{
    int64_t last = -1;
    for (size_t i = 0; i < PHASES; i++)
        last = chart.phase[i] > last ? chart.phase[i] : last;
    int64_t on = chart.started - chart.begin - last;
    return last < 0 || on < machine ? machine : on;
}

static void machine_draw(struct drawing *d)
{
    int64_t machine = chart.machine - chart.begin, started = chart.started - chart.begin;
    int64_t on = power_on(machine), last = on;
    bar_add(d, "qemu", "QEMU", machine, on);
    for (size_t i = 0; i < PHASES; i++) {
        int64_t at = chart.phase[i] < 0 ? last : on + chart.phase[i];
        at = at < last ? last : at > started ? started : at;
        if (chart.phase[i] >= 0)
            bar_add(d, i ? "kernel" : "qemu", phases[i].what, last, at);
        last = at;
    }
    bar_add(d, "kernel", "loading the program", last, started);
    mark_add(d, "first instruction", started);
}

static void rows_draw(struct drawing *d)
{
    int64_t from = 0;
    for (size_t i = 0; i < chart.step_count; i++) {
        int64_t to = chart.steps[i].end - chart.begin;
        bar_add(d, "ops", chart.steps[i].what, from, to);
        from = to;
    }
    if (chart.machine && chart.started)
        machine_draw(d);
    else if (chart.machine)
        bar_add(d, "qemu", "QEMU, without a program", chart.machine - chart.begin, d->length);
    for (size_t i = 0; i < chart.port_count; i++) {
        char *what = alloc_printf("listening on port %u", chart.ports[i].number);
        mark_add(d, what, chart.ports[i].at - chart.begin);
        free(what);
    }
    if (chart.started && chart.ended)
        bar_add(d, "program", "the program", chart.started - chart.begin,
                chart.ended - chart.begin < d->length ? chart.ended - chart.begin : d->length);
}

/* 1, 2 or 5 times a power of ten: the distance of the scale's lines. */
static int64_t axis_step(int64_t length)
{
    static const int factors[] = {1, 2, 5};
    for (int64_t unit = 100000;; unit *= 10)
        for (size_t i = 0; i < 3; i++)
            if (length / (unit * factors[i]) < AXIS_LAST)
                return unit * factors[i];
}

static void axis_add(struct buf *b, const struct drawing *d)
{
    int64_t step = axis_step(d->length);
    for (int64_t at = 0; at <= d->length; at += step) {
        double x = place(d, at);
        buf_addf(b,
                 "<path class=\"axis\" d=\"M%.1f %d V%d\"/>\n"
                 "<text class=\"axis\" x=\"%.1f\" y=\"%d\">%g ms</text>\n",
                 x, TOP - 6, d->y + 2, x, TOP - 12, (double)at / 1e6);
    }
}

/* All but a program's long life: it is cut at twice what came before. */
static int64_t whole_length(void)
{
    int64_t end = chart.begin + 1000000;
    const int64_t times[] = {chart.machine, chart.started};
    for (size_t i = 0; i < 2; i++)
        end = times[i] > end ? times[i] : end;
    for (size_t i = 0; i < chart.step_count; i++)
        end = chart.steps[i].end > end ? chart.steps[i].end : end;
    for (size_t i = 0; i < chart.port_count; i++)
        end = chart.ports[i].at > end ? chart.ports[i].at : end;
    int64_t most = chart.begin + 2 * (end - chart.begin);
    int64_t ended = chart.ended > most ? most : chart.ended;
    return (ended > end ? ended : end) - chart.begin;
}

static void chart_draw(struct buf *b)
{
    struct drawing d = {.length = whole_length(), .y = TOP};
    rows_draw(&d);
    buf_addf(b,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
             "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
             "<style>.name{text-anchor:end}.title{font-size:15px}text.axis{fill:#777;"
             "text-anchor:middle}path.axis{stroke:#ddd}.ops{fill:#4c78a8}.qemu{fill:#9d755d}"
             ".kernel{fill:#f58518}.program{fill:#54a24b}.mark{fill:#e45756}</style>\n"
             "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
             "<text class=\"title\" x=\"16\" y=\"26\">ops run ",
             WIDTH, d.y + 16, WIDTH, d.y + 16, WIDTH, d.y + 16);
    text_add(b, chart.subject);
    buf_addf(b, "</text>\n");
    axis_add(b, &d);
    buf_add(b, d.rows.data, d.rows.size);
    buf_addf(b, "</svg>\n");
    buf_free(&d.rows);
}

/* Whole each time: who looks while a server runs finds the picture so far. */
static void chart_write(void)
{
    struct buf b = {0};
    if (!chart.fd)
        return;
    chart_draw(&b);
    chart.failed =
        ftruncate(chart.fd, 0) < 0 || pwrite(chart.fd, b.data, b.size, 0) != (ssize_t)b.size;
    buf_free(&b);
}

bool chart_open(const char *path, const char *subject, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, "write", path);
    chart.fd = fd;
    chart.path = alloc_string(path);
    chart.subject = alloc_string(subject);
    for (size_t i = 0; i < PHASES; i++)
        chart.phase[i] = -1;
    chart_write();
    return !chart.failed || err_errno(err, "write", path);
}

void chart_step(const char *what)
{
    if (chart.fd && chart.step_count < STEPS_MOST)
        chart.steps[chart.step_count++] = (struct step){what, now_ns()};
}

void chart_machine(void)
{
    if (chart.fd)
        chart.machine = now_ns();
}

void chart_phase(const char *text)
{
    char name[16];
    long long ns;
    if (!chart.fd || chart.started || sscanf(text, "%15s %lld", name, &ns) != 2)
        return;
    for (size_t i = 0; i < PHASES; i++) /* a day: nonsense is not drawn */
        if (strcmp(name, phases[i].name) == 0 && ns >= 0 && ns < INT64_C(86400) * 1000000000)
            chart.phase[i] = ns;
}

void chart_started(void)
{
    if (!chart.fd || chart.started)
        return;
    chart.started = now_ns();
    chart_write();
}

void chart_listening(unsigned port)
{
    if (!chart.fd || !chart.started || chart.port_count == PORTS_MOST)
        return;
    for (size_t i = 0; i < chart.port_count; i++)
        if (chart.ports[i].number == port)
            return;
    chart.ports[chart.port_count++] = (struct port){port, now_ns()};
    chart_write();
}

void chart_ended(void)
{
    if (chart.fd && !chart.ended)
        chart.ended = now_ns();
}

bool chart_close(struct err *err)
{
    bool ok = true;
    if (!chart.fd)
        return true;
    chart_write();
    if (chart.failed)
        ok = err_errno(err, "write", chart.path);
    close(chart.fd);
    free(chart.path);
    free(chart.subject);
    chart.fd = 0;
    chart.path = chart.subject = NULL;
    return ok;
}
