/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of the Linux that `ops` is compared with: finds disk and network as the kernel of `ops`
 * does, then becomes the program that /manifest names, on the same root filesystem.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORDS 64

static char *args[WORDS + 1], *envs[WORDS + 1];
static char *program, *address;
static int arg_count, env_count;

static _Noreturn void die(const char *what)
{
    perror(what);
    reboot(RB_POWER_OFF);
    exit(1);
}

static void manifest_read(void)
{
    char line[4096];
    FILE *f = fopen("/manifest", "r");
    if (!f)
        die("manifest");
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (!strncmp(line, "program=", 8))
            program = strdup(line + 8);
        else if (!strncmp(line, "arg=", 4) && arg_count < WORDS)
            args[arg_count++] = strdup(line + 4);
        else if (!strncmp(line, "env=", 4) && env_count < WORDS)
            envs[env_count++] = strdup(line + 4);
        else if (!strncmp(line, "interface=", 10))
            address = strdup(line + 10);
    }
    fclose(f);
    if (!program || !address)
        die("manifest");
}

static void modules_load(void)
{
    char name[32];
    for (int i = 0;; i++) {
        snprintf(name, sizeof name, "/modules/%02d", i);
        int fd = open(name, O_RDONLY);
        if (fd < 0)
            return;
        if (syscall(SYS_finit_module, fd, "", 0) < 0)
            perror(name);
        close(fd);
    }
}

static void root_mount(void)
{
    mkdir("/dev", 0755);
    mkdir("/root", 0755);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    for (int i = 0; mount("/dev/vda", "/root", "ext4", 0, NULL) != 0; i++) {
        if (i == 1000)
            die("root");
        usleep(10000);
    }
    mount("devtmpfs", "/root/dev", "devtmpfs", 0, NULL);
    mount("proc", "/root/proc", "proc", 0, NULL);
    mount("tmpfs", "/root/tmp", "tmpfs", 0, NULL);
}

static void interface_up(const char *name, const char *text)
{
    struct ifreq r = {0};
    struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    a->sin_family = AF_INET;
    inet_pton(AF_INET, text, &a->sin_addr);
    for (int i = 0; ioctl(fd, SIOCSIFADDR, &r) < 0; i++) {
        if (i == 1000)
            die(name);
        usleep(10000);
    }
    inet_pton(AF_INET, "255.255.255.0", &a->sin_addr);
    ioctl(fd, SIOCSIFNETMASK, &r);
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    ioctl(fd, SIOCSIFFLAGS, &r);
    close(fd);
}

int main(void)
{
    const struct rlimit files = {65536, 65536};
    manifest_read();
    modules_load();
    root_mount();
    address[strcspn(address, "/")] = '\0';
    interface_up("lo", "127.0.0.1");
    interface_up("eth0", address);
    setrlimit(RLIMIT_NOFILE, &files);
    if (chroot("/root") < 0 || chdir("/") < 0)
        die("chroot");
    execve(program, args, envs);
    die(program);
}
