/* SPDX-License-Identifier: Apache-2.0 */
/* /proc about what has been done so far: interrupts, stat, self/io, loadavg. Counts must be true.
 */
#include "guest.h"

#include <sys/sysinfo.h>

#define NAPS 20

static char text[1 << 20];

static ssize_t slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    size_t n = 0;
    for (ssize_t k; fd >= 0 && (k = read(fd, text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)k;
    text[n] = 0;
    close(fd);
    return fd < 0 ? -1 : (ssize_t)n;
}

/* The number behind a word at the start of a line; -1: there is none. */
static long value_of(const char *path, const char *word)
{
    if (slurp(path) < 0)
        return -1;
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, word, strlen(word)))
            return atol(line + strlen(word));
    }
    return -1;
}

/* The sum over the CPUs of a line of /proc/interrupts. */
static long interrupts(const char *name)
{
    char *line, *end;
    long sum = 0;
    if (slurp("/proc/interrupts") < 0 || !(line = strstr(text, name)))
        return -1;
    for (line += strlen(name);; line = end) {
        long n = strtol(line, &end, 10);
        if (end == line)
            return sum;
        sum += n;
    }
}

static void nap(void)
{
    const struct timespec t = {0, MS};
    for (int i = 0; i < NAPS; i++)
        nanosleep(&t, NULL);
}

TEST(a_nap_is_a_timer_interrupt)
{
    long before = interrupts("LOC:");
    CHECK(before >= 0);
    nap();
    CHECK(interrupts("LOC:") >= before + NAPS);
}

TEST(interrupts_has_a_column_a_cpu)
{
    char name[32];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    CHECK(slurp("/proc/interrupts") > 0);
    *strchr(text, '\n') = 0;
    for (long i = 0; i <= cpus; i++) {
        snprintf(name, sizeof name, "CPU%ld ", i);
        CHECK(!strstr(text, name) == (i == cpus));
    }
    CHECK(interrupts("RES:") >= 0 && interrupts("TLB:") >= 0);
}

TEST(stat_counts)
{
    long intr = value_of("/proc/stat", "intr "), ctxt = value_of("/proc/stat", "ctxt ");
    CHECK(intr > 0 && ctxt > 0);
    nap();
    CHECK(value_of("/proc/stat", "intr ") >= intr + NAPS);
    CHECK(value_of("/proc/stat", "ctxt ") >= ctxt + NAPS);
}

/* Ticks of the machine's CPUs together. */
static long cpu_time(bool idle)
{
    long user = 0, nice = 0, system = 0, rest = 0;
    slurp("/proc/stat");
    sscanf(text, "cpu %ld %ld %ld %ld", &user, &nice, &system, &rest);
    return idle ? rest : user + nice + system;
}

TEST(work_is_not_idle_time)
{
    long busy = cpu_time(false);
    int64_t end = now_ns() + 100 * MS;
    while (now_ns() < end)
        ;
    CHECK(SOON(cpu_time(false) > busy));
    CHECK(cpu_time(true) > 0);
}

TEST(io_is_exact)
{
    static const char *const names[] = {"rchar: ", "wchar: ", "syscr: ", "syscw: "};
    const long want[] = {300, 1000, 3, 10};
    long before[4], extra[4] = {0};
    char buf[100] = "";
    int fd = open(tmp_path("io"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    for (int i = 0; i < 4; i++) /* to look costs reads of its own: two, and the text's length */
        CHECK((before[i] = value_of("/proc/self/io", names[i])) >= 0);
    for (int i = 0; i < 10; i++)
        CHECK(write(fd, buf, 100) == 100);
    for (int i = 0; i < 3; i++)
        CHECK(pread(fd, buf, 100, 0) == 100);
    for (int i = 0; i < 4; i++) {
        long now = value_of("/proc/self/io", names[i]);
        extra[i] = now - before[i] - want[i];
    }
    CHECK(extra[1] == 0 && extra[3] == 0 && extra[2] == 8 && extra[0] > 0 && extra[0] < 4096);
    CHECK(value_of("/proc/self/io", "read_bytes: ") >= 0);
    CHECK(value_of("/proc/self/io", "write_bytes: ") >= 0);
    CHECK(value_of("/proc/self/io", "cancelled_write_bytes: ") >= 0);
    close(fd);
    unlink(tmp_path("io"));
}

/* Two ways to the same averages; a sample may come between the two looks. */
static bool loads_agree(void)
{
    struct sysinfo s;
    double average[3];
    int running, all;
    if (sysinfo(&s) || slurp("/proc/loadavg") < 0 ||
        sscanf(text, "%lf %lf %lf %d/%d", &average[0], &average[1], &average[2], &running, &all) !=
            5)
        return false;
    for (int i = 0; i < 3; i++) {
        double other = (double)s.loads[i] / (1 << SI_LOAD_SHIFT);
        if (other < average[i] - 0.011 || other > average[i] + 0.011)
            return false;
    }
    return running >= 1 && all >= running;
}

TEST(loadavg)
{
    CHECK(SOON(loads_agree()));
}
