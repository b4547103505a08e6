/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration keys: see config_keys.h. */
#include "config_keys.h"

#include <ctype.h>
#include <string.h>

#include "alloc.h"
#include "config.h"

#define CLOUD    "only a cloud's machine has it; a machine here runs the same without"
#define METADATA "describes a package; nothing that runs depends on it"
#define NANOS    "chooses a kernel of Nanos; here the kernel belongs to the tool"
#define NO_KLIBS "the kernel has no plugins"
#define BRIDGE   "bridges are the host's: `ops network`"
#define CLOCK    "the clock follows the host's, or that of NtpServers"
#define DISPLAY  "the machine has no display and no other device than the program needs"

#define AT(field) offsetof(struct config, field)

static const char *const accels[] = {"auto", "kvm", "tcg", NULL};
static const char *const machines[] = {"microvm", "q35", NULL};
static const char *const policies[] = {"no", "on-failure", "always", NULL};

#define NOTED(name, why)                                                                           \
    {                                                                                              \
        name, KEY_NOTED, 0, NULL, NULL, MARK_NOT, why                                              \
    }
#define REFUSED(name, why)                                                                         \
    {                                                                                              \
        name, KEY_REFUSED, 0, NULL, NULL, MARK_NOT, why                                            \
    }

/* Of one network card. */
static const struct key card_keys[] = {
    {"BridgeName", KEY_TEXT, AT(bridge_name), NULL, NULL, MARK_YES, NULL},
    {"Gateway", KEY_TEXT, AT(gateway), NULL, NULL, MARK_YES, NULL},
    {"IPAddress", KEY_TEXT, AT(ip_address), NULL, NULL, MARK_YES, NULL},
    {"IPv6Address", KEY_TEXT, AT(ipv6_address), NULL, NULL, MARK_YES, NULL},
    {"NetMask", KEY_TEXT, AT(net_mask), NULL, NULL, MARK_YES, NULL},
    {"Network", KEY_TEXT, AT(network), NULL, NULL, MARK_OURS, "as --net"},
    {"TapName", KEY_TEXT, AT(tap_name), NULL, NULL, MARK_YES, NULL},
    {0},
};

static const struct key run_keys[] = {
    {"Accel", KEY_ACCEL, AT(accel), NULL, accels, MARK_BETTER,
     "also \"kvm\" and \"tcg\"; KVM is tried, not guessed"},
    REFUSED("AtExit", "a shell command of a configuration is not run: write it behind `ops run`"),
    NOTED("AttachVolumeOnInstanceCreate", CLOUD),
    NOTED("Background", "`ops run -d` says it"),
    NOTED("BackgroundDetach", "`ops run -d` says it"),
    REFUSED("BridgeIPAddress", BRIDGE),
    {"BridgeName", KEY_TEXT, AT(bridge_name), NULL, NULL, MARK_YES, NULL},
    {"Bridged", KEY_BOOL, AT(bridged), NULL, NULL, MARK_YES, "the bridge br0"},
    {"CPUs", KEY_NUMBER, AT(cpus), NULL, NULL, MARK_YES, NULL},
    NOTED("CanIPForward", CLOUD),
    {"Debug", KEY_BOOL, AT(debug), NULL, NULL, MARK_BETTER, "gdb works with KVM and with ASLR off"},
    REFUSED("GPUType", DISPLAY),
    REFUSED("GPUs", DISPLAY),
    {"Gateway", KEY_TEXT, AT(gateway), NULL, NULL, MARK_YES, NULL},
    REFUSED("GdbPort", "gdb attaches through a private socket: --debug prints the command"),
    {"IPAddress", KEY_TEXT, AT(ip_address), NULL, NULL, MARK_YES, NULL},
    {"IPv6Address", KEY_TEXT, AT(ipv6_address), NULL, NULL, MARK_YES, NULL},
    NOTED("ImageName", "images are named by their content; `ops build -o` names a disk"),
    NOTED("InstanceGroup", CLOUD),
    {"InstanceName", KEY_TEXT, AT(name), NULL, NULL, MARK_YES, NULL},
    NOTED("JSON", "--json says it"),
    REFUSED("Kernel", NANOS),
    {"LogSize", KEY_SIZE, AT(log_size), NULL, NULL, MARK_OURS, "of an instance's log"},
    {"Machine", KEY_CHOICE, AT(machine), NULL, machines, MARK_OURS, NULL},
    {"Memory", KEY_SIZE, AT(memory), NULL, NULL, MARK_BETTER, "by need where it is not given"},
    REFUSED("Mgmt", "a machine with a name has a private monitor socket"),
    {"Mounts", KEY_TEXTS, AT(mounts), NULL, NULL, MARK_YES, "NAME:/path[:ro], as --mounts"},

    {"NetMask", KEY_TEXT, AT(net_mask), NULL, NULL, MARK_YES, NULL},
    {"Network", KEY_TEXT, AT(network), NULL, NULL, MARK_OURS, "as --net"},
    {"Nics", KEY_CARDS, AT(nets), card_keys, NULL, MARK_YES, "further cards"},
    {"Ports", KEY_TEXTS, AT(ports), NULL, NULL, MARK_BETTER,
     "on 127.0.0.1 unless an address is given; tried before the machine starts"},
    NOTED("QMP", "a machine with a name has a private monitor socket"),
    {"Restart", KEY_CHOICE, AT(restart), NULL, policies, MARK_OURS, "of an instance"},
    NOTED("ShowDebug", "-v says it"),
    NOTED("ShowErrors", "errors are always shown"),
    NOTED("ShowWarnings", "warnings are always shown"),
    {"TapName", KEY_TEXT, AT(tap_name), NULL, NULL, MARK_YES, NULL},
    NOTED("ThreadsPerCore", CLOUD),
    {"Timeout", KEY_NUMBER, AT(timeout), NULL, NULL, MARK_OURS, "seconds; 0: none"},
    {"Trace", KEY_TEXT, AT(trace), NULL, NULL, MARK_OURS, "as --trace"},
    {"UDPPorts", KEY_TEXTS, AT(udp_ports), NULL, NULL, MARK_BETTER, "as Ports"},
    {"Verbose", KEY_BOOL, AT(verbose), NULL, NULL, MARK_YES, NULL},
    REFUSED("Vga", DISPLAY),
    NOTED("VolumeSizeInGb", CLOUD),
    {0},
};

/* What OPS hands to its kernel as it stands there; of it this kernel knows: */
static const struct key passthrough_keys[] = {
    NOTED("chrony", CLOCK),
    REFUSED("cloud_init", NO_KLIBS),
    REFUSED("consoles", "the program's streams are those of `ops`"),
    REFUSED("coredumplimit", "--core FILE writes a core"),
    {"cwd", KEY_TEXT, AT(cwd), NULL, NULL, MARK_YES, "the same as Cwd"},
    NOTED("debug_exit", "the program's exit status is always passed on"),
    {"debugsyscalls", KEY_TRACED, AT(trace), NULL, NULL, MARK_BETTER, "decoded, with arguments"},
    REFUSED("exec_protection", "the kernel does not keep the program from executing its own data"),
    NOTED("expected_exit_code", "the program's exit status is always passed on"),
    REFUSED("firewall", NO_KLIBS),
    REFUSED("idle_on_exit", "the machine ends with its program"),
    REFUSED("ltrace", "calls of libraries are not traced; --trace shows system calls"),
    REFUSED("missing_files", "--trace=open,openat shows them"),
    REFUSED("mmap_min_addr", "it is fixed"),
    REFUSED("mtu", "the network device says it"),
    REFUSED("netconsole_ip", "the program's streams are those of `ops`"),
    REFUSED("netconsole_port", "the program's streams are those of `ops`"),
    {"noaslr", KEY_BOOL, AT(no_aslr), NULL, NULL, MARK_YES, "the same as NoAslr"},
    REFUSED("notrace", "Trace lists the calls that are shown"),
    {"ntp_poll_max", KEY_NUMBER, AT(ntp_poll_max), NULL, NULL, MARK_YES, "the same as NtpPollMax"},
    {"ntp_poll_min", KEY_NUMBER, AT(ntp_poll_min), NULL, NULL, MARK_YES, "the same as NtpPollMin"},
    {"ntp_reset_threshold", KEY_NUMBER, AT(ntp_reset), NULL, NULL, MARK_YES,
     "the same as NtpResetThreshold"},
    {"ntp_servers", KEY_TEXTS, AT(ntp_servers), NULL, NULL, MARK_YES, "the same as NtpServers"},
    {"readonly_rootfs", KEY_BOOL, AT(readonly_rootfs), NULL, NULL, MARK_YES,
     "the same as ReadonlyRootfs"},
    {"reboot_on_exit", KEY_REBOOT, AT(restart), NULL, NULL, MARK_YES, "the same as RebootOnExit"},
    REFUSED("sandbox", NO_KLIBS),
    REFUSED("so_rcvbuf", "a program sets it with setsockopt"),
    NOTED("static_map_program", "pages are mapped when they are touched; only speed differs"),
    REFUSED("syscall_summary", "--trace shows every call"),
    REFUSED("syslog", NO_KLIBS),
    {"trace", KEY_TRACED, AT(trace), NULL, NULL, MARK_BETTER, "decoded, with arguments"},
    NOTED("transparent_hugepage", "the size of pages is the kernel's choice; only speed differs"),
    REFUSED("tun", NO_KLIBS),
    REFUSED("uname", "what uname tells is fixed but for the hostname: Hostname"),
    {0},
};

const struct key config_keys[] = {
    {"Args", KEY_TEXTS, AT(args), NULL, NULL, MARK_YES, NULL},
    {"BaseVolumeSz", KEY_SIZE, AT(volume_size), NULL, NULL, MARK_BETTER,
     "free room by default; takes no room until used"},
    REFUSED("Boot", NANOS),
    NOTED("BuildDir", "nothing is left in a work directory"),
    NOTED("CloudConfig", CLOUD),
    {"CodeDir", KEY_TEXT, AT(code_dir), NULL, NULL, MARK_OURS,
     "of a package: where code that an argument names is put"},
    {"Cwd", KEY_TEXT, AT(cwd), NULL, NULL, MARK_OURS, NULL},
    {"Debugflags", KEY_FLAGS, AT(trace), NULL, NULL, MARK_BETTER,
     "\"trace\" and \"debugsyscalls\" show decoded calls"},
    NOTED("Description", METADATA),
    {"DefaultArgs", KEY_TEXTS, AT(default_args), NULL, NULL, MARK_OURS,
     "of a package: behind Args where no arguments are given"},
    {"Dirs", KEY_PATHS, AT(dirs), NULL, NULL, MARK_BETTER,
     "relative to the file; modes, times, links and empty directories are kept"},
    NOTED("DisableArgsCopy", "files named by arguments are never copied by themselves"),
    {"Env", KEY_ENV, AT(env), NULL, NULL, MARK_BETTER, "PATH and HOME are there by default"},
    {"Exclude", KEY_TEXTS, AT(exclude), NULL, NULL, MARK_OURS, "as --exclude"},
    {"Files", KEY_PATHS, AT(files), NULL, NULL, MARK_BETTER,
     "relative to the file; absolute paths work"},
    NOTED("Force", "what is old is built anew by itself"),
    {"Gid", KEY_NUMBER, AT(gid), NULL, NULL, MARK_OURS, NULL},
    REFUSED("Home", "set XDG_DATA_HOME, XDG_CACHE_HOME, XDG_STATE_HOME"),
    {"Hostname", KEY_TEXT, AT(hostname), NULL, NULL, MARK_OURS, NULL},
    REFUSED("Kernel", NANOS),
    REFUSED("KlibDir", NO_KLIBS),
    {"Klibs", KEY_KLIBS, 0, NULL, NULL, MARK_NOT,
     NO_KLIBS "; accepted are those whose work is done without: ntp, tls, tmpfs, special_files"},
    NOTED("Language", METADATA),
    NOTED("LocalFilesParentDirectory", "relative paths start at the configuration's directory"),
    {"ManifestPassthrough", KEY_TABLE, 0, passthrough_keys, NULL, MARK_YES,
     "numbers and booleans too; key by key below"},
    {"MapDirs", KEY_MAP, AT(map_dirs), NULL, NULL, MARK_BETTER,
     "patterns as in a shell; a bare directory works"},
    {"Metadata", KEY_TEXT, AT(metadata), NULL, NULL, MARK_OURS,
     "a cloud's word on host name and user data: \"auto\", or some of nocloud, configdrive, gcp, "
     "ec2, "
     "openstack, digitalocean, hetzner, vultr, azure with commas between"},
    {"MetadataRequired", KEY_BOOL, AT(metadata_required), NULL, NULL, MARK_OURS,
     "without it the program does not start"},
    {"Mounts", KEY_MOUNTS, AT(mounts), NULL, NULL, MARK_YES, NULL},
    {"NameServers", KEY_TEXTS, AT(name_servers), NULL, NULL, MARK_YES, NULL},
    NOTED("NanosVersion", NANOS),
    NOTED("NightlyBuild", NANOS),
    {"NoAslr", KEY_BOOL, AT(no_aslr), NULL, NULL, MARK_OURS, NULL},
    {"NoSystemFiles", KEY_BOOL, AT(no_system_files), NULL, NULL, MARK_OURS, NULL},
    REFUSED("NoTrace", "Trace lists the calls that are shown"),
    {"NtpPollMax", KEY_NUMBER, AT(ntp_poll_max), NULL, NULL, MARK_OURS,
     "they are asked every 2^n s at most: 10"},
    {"NtpPollMin", KEY_NUMBER, AT(ntp_poll_min), NULL, NULL, MARK_OURS, "and at least: 6"},
    {"NtpResetThreshold", KEY_NUMBER, AT(ntp_reset), NULL, NULL, MARK_OURS,
     "seconds: so far off the clock is set, less is slewed; 0.128 where it is not given"},
    {"NtpServers", KEY_TEXTS, AT(ntp_servers), NULL, NULL, MARK_OURS,
     "HOST[:PORT], or \"dhcp\": those of the lease; none: the clock follows the host's"},
    NOTED("PackageBaseURL", METADATA),
    NOTED("PackageManifestURL", METADATA),
    {"Program", KEY_PATH, AT(program), NULL, NULL, MARK_YES, "relative to the file"},
    {"ProgramPath", KEY_PATH, AT(program), NULL, NULL, MARK_YES, "the same as Program"},
    {"ReadonlyRootfs", KEY_BOOL, AT(readonly_rootfs), NULL, NULL, MARK_OURS, NULL},
    {"RebootOnExit", KEY_REBOOT, AT(restart), NULL, NULL, MARK_YES,
     "the same as RunConfig.Restart \"always\": of an instance (`ops run -d`)"},
    {"RunConfig", KEY_TABLE, 0, run_keys, NULL, MARK_YES, "key by key below"},
    {"Shares", KEY_SHARES, AT(shares), NULL, NULL, MARK_OURS, "as --share"},
    {"StopSignal", KEY_TEXT, AT(stop_signal), NULL, NULL, MARK_OURS,
     "what asks the program to end: a signal's name or number (SIGTERM)"},
    NOTED("TFSv4", "the filesystem is ext4"),
    NOTED("TargetConfig", CLOUD),
    REFUSED("TargetRoot", "libraries are looked up on this system"),
    {"Uid", KEY_NUMBER, AT(uid), NULL, NULL, MARK_OURS, NULL},
    NOTED("Uefi", "disks boot by BIOS and by UEFI"),
    NOTED("UefiBoot", "disks boot by BIOS and by UEFI"),
    {"UserData", KEY_TEXT, AT(user_data), NULL, NULL, MARK_OURS,
     "what becomes of Metadata's user data: \"env\", lines NAME=value, or the path of a file"},
    NOTED("Version", METADATA),
    REFUSED("VolumesDir", "volumes are in $XDG_DATA_HOME/ops/volumes; a mount may name a file"),
    {0},
};

const struct key *key_main(const struct key *k, const char **prefix)
{
    static const struct {
        const struct key *table;
        const char *prefix;
    } tables[] = {{config_keys, ""}, {run_keys, "RunConfig."}};
    for (size_t t = 0; t < 2; t++)
        for (const struct key *m = tables[t].table; m->name; m++)
            if (m->type < KEY_TABLE && m->offset == k->offset) {
                *prefix = tables[t].prefix;
                return m;
            }
    return NULL;
}

bool key_is_setting(const struct key *k)
{
    const char *prefix;
    return k->type < KEY_TABLE && key_main(k, &prefix) == k;
}

const char *key_expected(const struct key *k)
{
    static const char *const texts[] = {
        [KEY_TEXT] = "a string",
        [KEY_PATH] = "a string: a path",
        [KEY_NUMBER] = "a whole number, 0 or more",
        [KEY_BOOL] = "true or false",
        [KEY_SIZE] = "a size such as \"64M\" or \"1G\"",
        [KEY_ACCEL] = "true, false, \"auto\", \"kvm\" or \"tcg\"",
        [KEY_TEXTS] = "a list of strings: [\"...\", ...]",
        [KEY_PATHS] = "a list of paths: [\"...\", ...]",
        [KEY_ENV] = "an object of strings: {\"NAME\": \"value\", ...}",
        [KEY_MAP] = "an object of strings: {\"host directory\": \"/guest/directory\", ...}",
        [KEY_MOUNTS] = "an object of strings: {\"volume\": \"/guest/directory\", ...}",
        [KEY_SHARES] = "an object of strings: {\"host directory\": \"/guest/directory\", ...}",
        [KEY_TABLE] = "an object: {...}",
        [KEY_CARDS] = "a list of objects: [{\"BridgeName\": \"br0\", ...}, ...]",
        [KEY_REBOOT] = "true or false",
        [KEY_FLAGS] = "a list of strings: [\"...\", ...]",
        [KEY_TRACED] = "true or false",
        [KEY_KLIBS] = "a list of strings: [\"...\", ...]",
    };
    if (k->type == KEY_CHOICE)
        return k->words == machines ? "\"microvm\" or \"q35\""
                                    : "\"no\", \"on-failure\" or \"always\"";
    return k->type < sizeof texts / sizeof texts[0] && texts[k->type] ? texts[k->type] : "anything";
}

char *key_variable(const struct key *k)
{
    char *name = alloc_printf("OPS_%s", k->name);
    for (char *p = name; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return name;
}

const char *key_klib(const char *name)
{
    static const char *const done[][2] = {
        {"ntp", CLOCK},
        {"special_files", "/proc, /sys and /dev are there"},
        {"tls", "only other plugins use it"},
        {"tmpfs", "/tmp is a tmpfs"},
    };
    for (size_t i = 0; i < sizeof done / sizeof done[0]; i++)
        if (strcmp(done[i][0], name) == 0)
            return done[i][1];
    return NULL;
}
