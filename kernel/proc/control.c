/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control channel: see control.h. Lines are written whole under
 * control_lock; when the host does not take them they wait in the device.
 */
#include "proc/control.h"

#include "core/log.h"
#include "core/panic.h"
#include "core/spinlock.h"
#include "dev/crashlog.h"
#include "dev/power.h"
#include "dev/serial.h"
#include "dev/stream.h"
#include "file/tty.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "net/tcp_socket.h"
#include "ops/control.h"
#include "proc/signal.h"
#include "sched/thread.h"

#define LINE_MAX 1024 /* what we send; longer texts are cut */

static struct stream *control;
static struct spinlock control_lock;

size_t control_escape(char *out, size_t len, size_t size, const char *text)
{
    for (; *text && len + 5 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '\n' || c == '\\') {
            out[len++] = '\\';
            out[len++] = c == '\n' ? 'n' : '\\';
        } else if (c < 0x20) {
            len += (size_t)snprintf(out + len, size - len, "\\x%02x", c);
        } else {
            out[len++] = (char)c;
        }
    }
    return len;
}

static void send_line(const char *kind, const char *text)
{
    char line[LINE_MAX];
    size_t len = (size_t)snprintf(line, sizeof line, "%s%s", kind, text ? " " : "");
    if (text)
        len = control_escape(line, len, sizeof line, text);
    line[len++] = '\n';
    if (!control) {
        serial_write("ops: ", 5);
        serial_write(line, len);
        return;
    }
    irqflags_t flags = spin_lock_irq(&control_lock);
    stream_write_all(control, line, len);
    spin_unlock_irq(&control_lock, flags);
}

void control_send(const char *kind, const char *text)
{
    if (control)
        send_line(kind, text);
}

static void log_to_control(enum log_level level, const char *line, size_t len)
{
    char kind[16];
    (void)len;
    snprintf(kind, sizeof kind, "log %s", log_level_name(level));
    send_line(kind, line);
}

static void panic_end(const char *reason)
{
    stream_emergency_begin(); /* the other CPUs stand still: locks do not count any more */
    control_lock.held = 0;
    if (control) {
        send_line("panic", reason);
        control->ops->drain(control);
    }
    crashlog_panic(reason);
    power_off(OPS_DEBUG_EXIT_PANIC);
}

void control_killed(int sig, const char *why)
{
    char kind[24];
    snprintf(kind, sizeof kind, "killed %d", sig);
    send_line(kind, why);
}

void control_exit(int status)
{
    static const char *const names[] = {OPS_PORT_STDOUT, OPS_PORT_STDERR};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        struct stream *s = stream_find(names[i]);
        if (s)
            s->ops->drain(s);
    }
    char kind[24];
    snprintf(kind, sizeof kind, control ? "exit %d" : "exit status %d", status);
    send_line(kind, NULL);
    if (control)
        control->ops->drain(control);
}

static bool parse_number(const char **p, unsigned max, unsigned *out)
{
    unsigned v = 0;
    if (**p < '0' || **p > '9')
        return false;
    for (; **p >= '0' && **p <= '9' && v <= max; ++*p)
        v = v * 10 + (unsigned)(**p - '0');
    if (**p == ' ')
        ++*p;
    *out = v;
    return v <= max;
}

static void handle_line(const char *line)
{
    unsigned a, b;
    const char *p = line;
    if (!strncmp(line, "signal ", 7)) {
        p += 7;
        if (parse_number(&p, SIGNAL_COUNT, &a) && a)
            signal_kernel((int)a);
    } else if (!strncmp(line, "winsize ", 8)) {
        p += 8;
        if (parse_number(&p, 65535, &a) && parse_number(&p, 65535, &b)) {
            tty_set_winsize(a, b);
            signal_kernel(SIGWINCH);
        }
    } else {
        log_warn("control: unknown line from the host");
    }
}

static void listen(void *arg)
{
    static char line[OPS_CONTROL_LINE];
    (void)arg;
    for (;;) {
        stream_read_line(control, line, sizeof line);
        handle_line(line);
    }
}

static void report_termios(const char *line)
{
    send_line(line, NULL);
    control->ops->drain(control);
}

static void report_listening(uint16_t port)
{
    char text[8];
    snprintf(text, sizeof text, "%u", port);
    send_line("listening", text);
}

int control_init(void)
{
    panic_set_hook(panic_end);
    log_set_sink(log_to_control);
    control = stream_wait(OPS_PORT_CONTROL, clock_now() + NSEC_PER_SEC);
    if (!control)
        return 0;
    tty_set_report(report_termios);
    tcp_listening = report_listening;
    struct thread *t;
    int err = thread_create(&t, "control", listen, NULL);
    if (!err)
        thread_start(t);
    return err;
}
