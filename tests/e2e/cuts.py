# SPDX-License-Identifier: Apache-2.0
"""kill -9 to ops at random moments of a command that writes.

    cuts.py OPS APP ROUNDS SEED CASE...

Each case has a command, what must hold after a cut (`whole`), and what brings things back to
where the command can be cut again (`again`: the command itself must then work, and leave nothing
of the cut ones). Moments are spread over the time the command takes, one in each of ROUNDS parts
of it. Prints the number of cuts; on standard error what is wrong, with the seed.
"""
import filecmp, glob, json, os, random, shutil, signal, subprocess, sys, time

OPS, APP = sys.argv[1], sys.argv[2]
DATA, STATE, CACHE = (os.environ[n] + "/ops" for n in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"))
RUN = os.environ["XDG_RUNTIME_DIR"] + "/ops"
LIMIT = 60


class Wrong(Exception):
    pass


def run(*words, ok=True):
    p = subprocess.run([OPS, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    if ok and p.returncode != (0 if ok is True else ok):
        raise Wrong(f"ops {' '.join(words)}: status {p.returncode}: {p.stderr.strip()}")
    return p


def want(condition, *why):
    if not condition:
        raise Wrong(" ".join(map(str, why)))


def wait_for(what, condition):
    end = time.monotonic() + 20
    while not condition():
        want(time.monotonic() < end, "no end of waiting for", what)
        time.sleep(0.02)


def fsck(file):
    p = subprocess.run(["e2fsck", "-fn", file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    want(p.returncode == 0, file, p.stdout[:300])


def check(kind, name):
    """A tool that was working for the killed ops is gone only a moment later."""
    answers = []

    def free():
        answers.append(run(kind, "check", name, ok=False))
        return "is in use by" not in answers[-1].stderr
    wait_for("the end of who uses it", free)
    return answers[-1]


def sound(kind, name):
    p = check(kind, name)
    want(p.returncode == 0, kind, name, "is damaged:", p.stdout[:300], p.stderr)


def only(directory, *names):
    there = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    want(there == sorted(names), f"{directory} has {there}, not {sorted(names)}")


def remove(*files):
    for file in files:
        if os.path.isdir(file):
            shutil.rmtree(file)
        elif os.path.lexists(file):
            os.unlink(file)


def processes(mark):
    """Those with the mark in their command line, other than ours."""
    found = []
    for p in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            if int(p.split("/")[2]) != os.getpid() and mark in open(p, "rb").read():
                found.append(p.split("/")[2])
        except OSError:
            pass
    return found


class Run:
    """An image of the cache is whole or not there, and QEMU ends with ops."""
    words = ["run", "--no-system-files", APP]

    def again(self):
        remove(*glob.glob(CACHE + "/*.ext4"))
        p = run(*self.words, ok=7)
        want(p.stdout == "here\n", "output", p.stdout)
        want(not glob.glob(CACHE + "/tmp-*"), "left:", os.listdir(CACHE))
        remove(*glob.glob(CACHE + "/*.ext4"))

    def whole(self):
        wait_for("the end of QEMU", lambda: not processes(CACHE.encode()))
        for file in glob.glob(CACHE + "/*.ext4"):
            fsck(file)
        if glob.glob(CACHE + "/*.ext4"):
            want(run(*self.words, ok=7).stdout == "here\n", "the image does not run")


class Build:
    words = ["build", "--no-system-files", "-o", "built/disk", APP]

    def again(self):
        os.makedirs("built", exist_ok=True)
        run(*self.words)
        only("built", "disk")
        sound("image", "built/disk")
        remove("built/disk")

    def whole(self):
        if os.path.exists("built/disk"):
            sound("image", "built/disk")


class ImageCreate:
    words = ["image", "create", "--no-system-files", "--name", "made", APP]

    def again(self):
        if "made" in names("image"):
            run("image", "delete", "made")
        run(*self.words)
        only(DATA + "/images", "kept.img", "made.img")
        run("image", "delete", "made")

    def whole(self):
        want("kept" in names("image"), "an image is lost")
        for name in names("image"):
            sound("image", name)


def names(kind):
    return [o["name"] for o in json.loads(run(kind, "list", "--json").stdout)]


class ImageDelete:
    words = ["image", "delete", "gone"]

    def again(self):
        if "gone" in names("image"):
            run(*self.words)
        shutil.copy(DATA + "/images/kept.img", DATA + "/images/gone.img")

    def whole(self):
        sound("image", "kept")
        if "gone" in names("image"):
            sound("image", "gone")


class ImageSync:
    words = ["image", "sync", "kept", "synced"]

    def again(self):
        os.makedirs("synced", exist_ok=True)
        run(*self.words)
        only("synced", "kept.img")
        want(filecmp.cmp("synced/kept.img", DATA + "/images/kept.img", shallow=False), "the copy differs")
        remove("synced/kept.img")

    def whole(self):
        if os.path.exists("synced/kept.img"):
            want(filecmp.cmp("synced/kept.img", DATA + "/images/kept.img", shallow=False), "half a copy")
        sound("image", "kept")


class ImageResize:
    words = ["image", "resize", "sized/disk", "96M"]

    def again(self):
        os.makedirs("sized", exist_ok=True)
        if os.path.exists("sized/disk"):
            run(*self.words)
            only("sized", "disk")
        sound_file = DATA + "/images/kept.img"
        shutil.copy(sound_file, "sized/disk")

    def whole(self):
        sound("image", "sized/disk")
        want(run("image", "ls", "sized/disk:/").stdout, "it is empty")


class ImageEnv:
    """One variable or the other, never none."""
    words = ["image", "env", "env/disk", "A=new"]

    def again(self):
        os.makedirs("env", exist_ok=True)
        if not os.path.exists("env/disk"):
            shutil.copy(DATA + "/images/kept.img", "env/disk")
        run(*self.words)
        want(self.value() == "A=new", "it says", self.value())
        run("image", "env", "env/disk", "A=old")
        only("env", "disk")

    def value(self):
        return [l for l in run("image", "env", "env/disk").stdout.split("\n") if l.startswith("A=")][0]

    def whole(self):
        mended("image", "env/disk")
        want(self.value() in ("A=old", "A=new"), "it says", self.value())


def mended(kind, name):
    """What is changed in place is sound, or says that it is not, is then used by nobody, and can
    be repaired."""
    if check(kind, name).returncode == 0:
        return
    if kind == "volume":
        p = run("run", "--no-system-files", "--mounts", name + ":/data", APP, ok=False)
        want(p.returncode == 1 and "damaged" in p.stderr, "it is used:", p.stderr)
    run(kind, "check", "--repair", name)
    sound(kind, name)


class VolumeCreate:
    words = ["volume", "create", "fresh", "-d", "tree"]

    def again(self):
        if "fresh" in names("volume"):
            run("volume", "delete", "fresh")
        run(*self.words)
        only(DATA + "/volumes", "fresh.ext4", "kept.ext4")
        content("fresh")
        run("volume", "delete", "fresh")

    def whole(self):
        want("kept" in names("volume"), "a volume is lost")
        if "fresh" in names("volume"):
            content("fresh")


def content(volume):
    """The directory `tree` is in it."""
    sound("volume", volume)
    for file in sorted(os.listdir("tree")):
        want(run("volume", "cat", f"{volume}:/{file}").stdout == open("tree/" + file).read(), file, "differs")


class VolumeDelete:
    words = ["volume", "delete", "gone"]

    def again(self):
        if "gone" in names("volume"):
            run(*self.words)
        run("volume", "create", "gone", "-s", "8M")

    def whole(self):
        if "gone" in names("volume"):
            sound("volume", "gone")
        sound("volume", "kept")


class VolumeResize:
    words = ["volume", "resize", "sized", "24M"]

    def again(self):
        if "sized" in names("volume"):
            run(*self.words)
            content("sized")
            run("volume", "delete", "sized")
        run("volume", "create", "sized", "-s", "12M", "-d", "tree")

    def whole(self):
        mended("volume", "sized")
        content("sized")


class VolumeImport:
    """It is changed in place: it says so, until it is repaired, and what was there stays."""
    words = ["volume", "cp", "-r", "tree", "filled:/new"]

    def again(self):
        if "filled" in names("volume"):
            run("volume", "cp", "-r", "tree", "filled:/again")
            content("filled")
            run("volume", "delete", "filled")
        run("volume", "create", "filled", "-s", "16M", "-d", "tree")

    def whole(self):
        mended("volume", "filled")
        fsck(DATA + "/volumes/filled.ext4")
        content("filled")


class InstanceCreate:
    words = ["instance", "create", "--no-system-files", "--name", "new", APP]

    def again(self):
        if "new" in names("instance"):
            run("instance", "delete", "new")
        run(*self.words)
        only(STATE + "/instances", "kept", "new")
        run("instance", "delete", "new")

    def whole(self):
        there = names("instance")
        want("kept" in there, "an instance is lost:", there)
        for name in there:
            json.loads(run("instance", "inspect", name).stdout)
        if "new" in there:
            run("instance", "start", "new")
            run("instance", "wait", "new", ok=7)


class InstanceRename:
    words = ["instance", "rename", "a", "b"]

    def again(self):
        for name in ("a", "b"):
            if name in names("instance"):
                run("instance", "delete", name)
        run("instance", "create", "--no-system-files", "--name", "a", APP)
        run(*self.words)
        only(STATE + "/instances", "b", "kept")
        run("instance", "rename", "b", "a")

    def whole(self):
        there = names("instance")
        want(sorted(there) in (["a", "kept"], ["b", "kept"]), "instances:", there)
        json.loads(run("instance", "inspect", there[0]).stdout)


    def end(self):
        run("instance", "delete", "a")


class InstanceDelete:
    words = ["instance", "delete", "gone"]

    def again(self):
        if "gone" in names("instance"):
            run(*self.words)
        run("instance", "create", "--no-system-files", "--name", "gone", APP)
        only(STATE + "/instances", "gone", "kept")

    def whole(self):
        for name in names("instance"):
            json.loads(run("instance", "inspect", name).stdout)

    def end(self):
        run("instance", "delete", "gone")


class Detach:
    """Who starts a machine may die; the machine is there or not."""
    words = ["run", "-d", "--no-system-files", "--name", "live", APP, "stay"]

    def again(self):
        if "live" in names("instance"):
            run("instance", "delete", "-f", "live")
        run(*self.words)
        run("instance", "delete", "-f", "live")
        only(STATE + "/instances", "kept")
        only(RUN)

    def whole(self):
        for o in json.loads(run("instance", "list", "--json").stdout):
            want(o["state"] in ("created", "starting", "running", "crashed", "exited"), o)
            json.loads(run("instance", "inspect", o["name"]).stdout)


class Deploy:
    """The new one, or the old one, or both by their names; another deploy makes it one."""
    words = ["deploy", "--no-system-files", "--name", "live", APP, "stay"]

    def again(self):
        run(*self.words)
        o = json.loads(run("instance", "inspect", "live").stdout)
        want(o["state"] == "running", o["state"])
        for name in names("instance"):
            if name not in ("kept", "live"):
                run("instance", "delete", "-f", name)
        only(STATE + "/instances", "kept", "live")

    def whole(self):
        there = names("instance")
        want("kept" in there and len(there) > 1, "instances:", there)

    def end(self):
        run("instance", "delete", "-f", "live")


class NetworkCreate:
    words = ["network", "create", "lab"]

    def again(self):
        if "lab" in names("network"):
            run("network", "delete", "lab")
        run("network", "create", "lab")
        run("network", "delete", "lab")
        only(DATA + "/networks")
        links = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE, text=True).stdout
        want("ops-lab" not in links, "the bridge stays")

    def whole(self):
        for name in names("network"):
            run("network", "inspect", name)


class NetworkDelete(NetworkCreate):
    words = ["network", "delete", "lab"]

    def again(self):
        super().again()
        run("network", "create", "lab")


class ComposeUp:
    words = ["compose", "up", "-c", "compose.json"]

    def up(self):
        run("compose", "up", "-c", "compose.json")
        services = json.loads(run("compose", "ps", "-c", "compose.json", "--json").stdout)
        return [s["state"] for s in services] == ["running"] * 2

    def again(self):
        # An end that was asked for goes on without who asked.
        wait_for("all services", self.up)
        run("compose", "down", "-c", "compose.json", "-t", "0")
        only(STATE + "/instances", "kept")
        only(RUN)

    def whole(self):
        json.loads(run("compose", "ps", "-c", "compose.json", "--json").stdout)


class ComposeDown(ComposeUp):
    words = ["compose", "down", "-c", "compose.json", "-t", "0"]

    def again(self):
        super().again()
        run("compose", "up", "-c", "compose.json")

    def end(self):
        run(*self.words)


class ConfigConvert:
    """It writes to standard output: the file stays as it is."""
    words = ["config", "convert", "theirs.json"]

    def again(self):
        run(*self.words)

    def whole(self):
        want(open("theirs.json").read() == THEIRS, "the file has changed")


PACKAGES = DATA + "/packages"


def packages():
    return {o["name"] for o in json.loads(run("pkg", "list", "--json").stdout)}


class Package:
    """One that is there is whole; `kept` always is; what was cut goes with the next command."""
    old = False  # is there one of the name before?

    def again(self):
        if self.name in packages() and not self.old:
            run("pkg", "delete", self.name)
        run(*self.words)
        only(PACKAGES, "kept_1", self.name + "_1")
        run("pkg", "verify", self.name)
        if not self.old:
            run("pkg", "delete", self.name)
            only(PACKAGES, "kept_1")

    def whole(self):
        there = packages()
        want("kept" in there, "a package is lost:", there)
        want(not self.old or self.name in there, "the old one is lost:", there)
        for name in there:
            run("pkg", "verify", name)

    def end(self):
        if self.name not in packages():
            run(*self.words)
        p = run("pkg", "load", "--no-system-files", self.name, ok=7)
        want(p.stdout == "here\n", self.name, "says", p.stdout)
        run("pkg", "delete", self.name)


class PackageFromRun(Package):
    name = "made"
    words = ["pkg", "from-run", "--no-system-files", "--name", "made", "--version", "1", APP]


class PackageAgain(PackageFromRun):
    """The same where one of that name and version is there: it is never gone."""
    old = True


class PackageAdd(Package):
    name = "added"
    words = ["pkg", "add", "-n", "added", "published/kept_1.tar.gz"]


class PackageDelete(Package):
    name = "gone"
    words = ["pkg", "delete", "gone"]

    def again(self):
        if "gone" in packages():
            run(*self.words)
            only(PACKAGES, "kept_1")
        run("pkg", "from-run", "--no-system-files", "--name", "gone", "--version", "1", APP)
        only(PACKAGES, "gone_1", "kept_1")

    def end(self):
        pass


class PackagePublish:
    """The tree is one that is trusted, or is refused; never is another package had from it."""
    words = ["pkg", "publish", "tree2", "kept", "--key", "secret"]

    def again(self):
        run(*self.words)
        only("tree2", "index.json", "index.json.minisig", "kept_1.tar.gz")
        want(self.asked() == 0, "it is refused")
        remove(*glob.glob("tree2/*"))

    def asked(self):
        p = run("pkg", "repo", "add", "own", "tree2", open("public").read().strip(), ok=False)
        if p.returncode == 0:
            run("pkg", "repo", "remove", "own")
        return p.returncode

    def whole(self):
        if not os.path.exists("tree2/index.json"):
            return
        json.load(open("tree2/index.json"))
        if self.asked() == 0:
            fetched("tree2")


class PackageRepublish(PackagePublish):
    """Over what is there."""

    def again(self):
        run(*self.words)
        only("tree2", "index.json", "index.json.minisig", "kept_1.tar.gz")
        want(self.asked() == 0, "it is refused")


def fetched(tree):
    """The package, out of that repository alone."""
    home = {**os.environ, "XDG_DATA_HOME": os.path.abspath("elsewhere"), "XDG_CACHE_HOME": os.path.abspath("elsewhere"),
            "XDG_CONFIG_HOME": os.path.abspath("elsewhere")}
    for words in (["repo", "add", "r", tree, open("public").read().strip()], ["get", "kept"], ["verify", "kept"]):
        p = subprocess.run([OPS, "pkg", *words], env=home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        want(p.returncode == 0, "ops pkg", *words, p.stderr)
    remove("elsewhere")


class RepoAdd:
    """All repositories that were known stay so."""

    @property
    def words(self):
        return ["pkg", "repo", "add", "new", "file://" + os.path.abspath("published"), open("public").read().strip()]

    def known(self):
        return [l.split()[0] for l in run("pkg", "repo", "list").stdout.split("\n") if l]

    def again(self):
        if "new" in self.known():
            run("pkg", "repo", "remove", "new")
        run(*self.words)
        want(sorted(self.known()) == ["known", "new"], "repositories:", self.known())
        run("pkg", "repo", "remove", "new")
        only(os.environ["XDG_CONFIG_HOME"] + "/ops", "repos.json")

    def whole(self):
        want("known" in self.known(), "one is lost:", self.known())


class Container:
    """An image is unpacked whole or not at all."""
    words = ["run", "--no-system-files", "oci:layout:one"]

    def again(self):
        remove(CACHE + "/containers")
        p = run(*self.words, ok=7)
        want(p.stdout == "here\n", "output", p.stdout)
        want(len(os.listdir(CACHE + "/containers")) == 1, "left:", os.listdir(CACHE + "/containers"))
        remove(CACHE + "/containers", *glob.glob(CACHE + "/*.ext4"))

    def whole(self):
        wait_for("the end of QEMU", lambda: not processes(CACHE.encode()))
        for directory in glob.glob(CACHE + "/containers/image_*"):
            want(run(*self.words, ok=7).stdout == "here\n", "the image does not run")


THEIRS = json.dumps({"Args": ["a"], "Env": {"A": "1"}, "RunConfig": {"Memory": "64M"}})
CASES = {"run": Run, "build": Build, "image-create": ImageCreate, "image-delete": ImageDelete,
         "image-sync": ImageSync, "image-resize": ImageResize, "image-env": ImageEnv,
         "volume-create": VolumeCreate, "volume-delete": VolumeDelete, "volume-resize": VolumeResize,
         "volume-import": VolumeImport, "instance-create": InstanceCreate,
         "instance-rename": InstanceRename, "instance-delete": InstanceDelete, "detach": Detach,
         "deploy": Deploy, "network-create": NetworkCreate, "network-delete": NetworkDelete,
         "compose-up": ComposeUp, "compose-down": ComposeDown, "config-convert": ConfigConvert,
         "pkg-from-run": PackageFromRun, "pkg-again": PackageAgain, "pkg-add": PackageAdd,
         "pkg-delete": PackageDelete, "pkg-publish": PackagePublish, "pkg-republish": PackageRepublish,
         "repo-add": RepoAdd, "container": Container}


def duration(case):
    begin = time.monotonic()
    p = subprocess.run([OPS, *case.words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=LIMIT)
    want(p.returncode in (0, 7), "ops", " ".join(case.words), "ends with", p.returncode)
    return time.monotonic() - begin


def cut(case, seconds):
    p = subprocess.Popen([OPS, *case.words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        p.wait(seconds)
    except subprocess.TimeoutExpired:
        p.send_signal(signal.SIGKILL)
        p.wait()
    return p.returncode == -signal.SIGKILL


def cuts(name, rounds, seed):
    chance = random.Random(f"{seed} {name}")
    case = CASES[name]()
    case.again()
    whole = duration(case)
    case.whole()
    case.again()
    done = 0
    for part in range(rounds):
        at = whole * (part + chance.random()) / rounds
        try:
            begin = time.monotonic()
            if cut(case, at):
                done += 1
            else: # it was quicker this time: no later moment makes sense
                whole = min(whole, time.monotonic() - begin)
            case.whole()
            case.again()
        except Wrong as wrong:
            raise Wrong(f"cut after {at * 1000:.1f} of {whole * 1000:.1f} ms: {wrong}") from None
    if hasattr(case, "end"):
        case.end()
    return done


def prepare():
    os.makedirs("tree", exist_ok=True)
    for i in range(40):
        with open(f"tree/file{i}", "w") as f:
            f.write(f"content {i}\n" * (i * 50 + 1))
    with open("theirs.json", "w") as f:
        f.write(THEIRS)
    with open("compose.json", "w") as f:
        json.dump({"name": "cut", "services": {n: {"run": ["--no-system-files", APP, "stay"]} for n in "xy"}}, f)


def prepare_machines():
    run("image", "create", "--no-system-files", "--name", "kept", "-e", "A=old", APP)
    run("volume", "create", "kept", "-s", "8M")
    run("instance", "create", "--no-system-files", "--name", "kept", APP)


def prepare_packages():
    """A package, a repository with it that is known, and with umoci a container image."""
    run("pkg", "from-run", "--no-system-files", "--name", "kept", "--version", "1", APP)
    with open("public", "w") as f:
        f.write(run("pkg", "repo", "key", "secret").stdout)
    run("pkg", "publish", "published", "kept", "--key", "secret")
    run("pkg", "repo", "add", "known", "published", open("public").read().strip())


def prepare_container():
    def umoci(*words):
        subprocess.run(["umoci", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    umoci("init", "--layout", "layout")
    umoci("new", "--image", "layout:one")
    umoci("unpack", "--rootless", "--image", "layout:one", "bundle")
    os.makedirs("bundle/rootfs/bin")
    shutil.copy(APP, "bundle/rootfs/bin/app")
    shutil.copytree("tree", "bundle/rootfs/tree")
    umoci("repack", "--image", "layout:one", "bundle")
    umoci("config", "--image", "layout:one", "--config.entrypoint", "/bin/app")


def main():
    rounds, seed, failed, total = int(sys.argv[3]), sys.argv[4], 0, 0
    chosen = sys.argv[5:] or list(CASES)
    apart = {name for name in chosen if name.startswith(("pkg", "repo", "container"))}
    prepare()
    if set(chosen) - apart:
        prepare_machines()
    if apart - {"container"}:
        prepare_packages()
    if "container" in apart:
        prepare_container()
    for name in chosen:
        begin = time.monotonic()
        try:
            done = cuts(name, rounds, seed)
            total += done
            print(f"# {name}: {done} cuts, {time.monotonic() - begin:.1f} s", flush=True)
        except (Wrong, subprocess.TimeoutExpired, ValueError, KeyError, IndexError) as wrong:
            failed += 1
            print(f"{name}, seed {seed}: {type(wrong).__name__} {wrong}", file=sys.stderr, flush=True)
    sys.exit(failed != 0 or total == 0)


main()
