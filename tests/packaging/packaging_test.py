"""The Debian package, unpacked into a folder: paths, units, programs."""

import glob
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import unittest

ROOT = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
UNITS = ("penstock-coordinator.service", "penstock-store.service",
         "penstock-stage-server@.service")


def run(*command, **options):
    """Exit status, and both outputs in one."""
    ran = subprocess.run(command, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, **options)
    return ran.returncode, ran.stdout


def run_well(*command, **options):
    code, output = run(*command, **options)
    if code != 0:
        raise AssertionError(f"{command} exited with {code}:\n{output}")
    return output


def link_libtorch(to):
    """What penstock-fetch-libtorch keeps, of what the stage server was linked
    with: Bazel has a folder for each of libtorch's."""
    for folder, bazels in (("torch/lib", "torch_Slib"),
                           ("nvidia/cu13/lib", "cu13_Slib")):
        os.makedirs(f"{to}/{folder}")
        libraries = glob.glob(f"{ROOT}/_solib_*/*{bazels}/*")
        assert libraries, bazels
        for library in libraries:
            os.symlink(os.path.realpath(library),
                       f"{to}/{folder}/{os.path.basename(library)}")


class Unit:
    """A unit file, as far as these tests read it."""

    def __init__(self, path):
        self.pairs = []
        with open(path) as f:
            for line in f:
                key, equals, value = line.strip().partition("=")
                if equals and not line.startswith("#"):
                    self.pairs.append((key, value))

    def all(self, key):
        return [value for name, value in self.pairs if name == key]

    def get(self, key):
        values = self.all(key)
        assert len(values) == 1, (key, values)
        return values[0]

    def environment(self):
        return dict(value.split("=", 1) for value in self.all("Environment"))

    def command(self, settings):
        """ExecStart with its variables, as systemd replaces them: ${A} within
        a word, $A by the words in it."""
        values = {**self.environment(), **settings}
        words = []
        for word in self.get("ExecStart").split():
            if re.fullmatch(r"\$\w+", word):
                words += shlex.split(values.get(word[1:], ""))
            else:
                words.append(re.sub(r"\$\{(\w+)\}",
                                    lambda match: values[match[1]], word))
        return words


class PackagingTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.deb = run_well(
            ROOT + "/tools/package_deb", "--from", ROOT, "--to",
            cls.folder).splitlines()[-1]
        cls.root = cls.folder + "/root"
        run_well("dpkg-deb", "--raw-extract", cls.deb, cls.root)

    def control(self, name):
        with open(f"{self.root}/DEBIAN/{name}") as f:
            return f.read()

    def field(self, name):
        return run_well("dpkg-deb", "-f", self.deb, name).strip()

    def program(self, name):
        return f"{self.root}/usr/bin/{name}"

    def unit(self, name):
        return Unit(f"{self.root}/usr/lib/systemd/system/{name}")

    def provide_libtorch(self, version="2.11.0"):
        to = self.root + "/usr/lib/penstock/libtorch"
        self.addCleanup(run_well, "rm", "-r", to)
        link_libtorch(to)
        with open(to + "/.complete", "w") as f:
            f.write(version + "\n")

    # ---- What is in it ------------------------------------------------------

    def test_its_version_is_the_programs(self):
        version = self.field("Version")
        self.assertEqual(os.path.basename(self.deb),
                         f"penstock_{version}_amd64.deb")
        self.assertIn(version, run_well(self.program("penstock"), "version"))
        for name in ("penstock-coordinator", "penstock-store"):
            self.assertEqual(run_well(self.program(name), "--version"),
                             f"{name} {version}\n")

    def test_it_depends_on_debians_libraries_and_carries_no_libtorch(self):
        depends = self.field("Depends")
        for package in ("libgrpc++", "libsystemd0", "libucx0", "libsqlite3-0",
                        "libspdlog", "libc6"):
            self.assertIn(package, depends)
        self.assertNotIn("torch", depends)
        self.assertNotIn("libgomp", depends)
        self.assertNotIn("cuda", depends)
        self.assertLess(os.path.getsize(self.deb), 40 << 20)
        self.assertEqual(
            glob.glob(self.root + "/**/libtorch*", recursive=True), [])

    def test_everything_is_where_debian_wants_it(self):
        files = run_well("find", "usr", "etc", "-type", "f", cwd=self.root)
        files = files.split()
        for wanted in (
                "usr/bin/penstock", "usr/bin/penstock-coordinator",
                "usr/bin/penstock-store", "usr/bin/penstock-stage-server",
                "usr/bin/penstock-fetch-libtorch",
                "usr/lib/penstock/penstock-stage-server",
                "usr/lib/systemd/system/penstock-stage-server@.service",
                "usr/lib/sysusers.d/penstock.conf",
                "usr/lib/tmpfiles.d/penstock.conf",
                "usr/share/bash-completion/completions/penstock",
                "usr/share/zsh/vendor-completions/_penstock",
                "usr/share/fish/vendor_completions.d/penstock.fish",
                "usr/share/doc/penstock/install.md",
                "usr/share/doc/penstock/jobs/gpt-nano.yaml",
                "etc/penstock/coordinator.env", "etc/penstock/store.env",
                "etc/penstock/stage-server.env"):
            self.assertIn(wanted, files)
        for name in files:
            mode = os.stat(f"{self.root}/{name}").st_mode & 0o777
            self.assertEqual(
                mode, 0o755 if name.startswith(("usr/bin/", "usr/lib/penstock"))
                else 0o640 if name.startswith("etc/") else 0o644, name)

    def test_settings_are_conffiles_and_the_rest_has_a_checksum(self):
        self.assertEqual(
            sorted(self.control("conffiles").split()),
            ["/etc/penstock/" + name + ".env"
             for name in ("coordinator", "stage-server", "store")])
        run_well("md5sum", "--check", "--quiet", "DEBIAN/md5sums",
                 cwd=self.root)

    def test_completions_are_of_this_version(self):
        path = self.root + "/usr/share/bash-completion/completions/penstock"
        run_well("bash", "-n", path)
        with open(path) as f:
            self.assertEqual(f.read(), run_well(self.program("penstock"),
                                                "completion", "bash"))

    def test_scripts_of_the_package_are_sound(self):
        for script in ("postinst", "prerm", "postrm"):
            run_well("sh", "-n", f"{self.root}/DEBIAN/{script}")
        # What an upgrade from it calls stops no service.
        run_well(f"{self.root}/DEBIAN/prerm", "upgrade", "9.9")

    # ---- libtorch -----------------------------------------------------------

    def test_a_stage_server_without_libtorch_says_so_in_a_line(self):
        code, said = run(self.program("penstock-stage-server"), "--version")
        self.assertEqual(code, 78)
        self.assertEqual(said.count("\n"), 1)
        self.assertIn(self.root + "/usr/lib/penstock/libtorch", said)
        self.assertIn("sudo penstock-fetch-libtorch", said)

    def test_another_libtorch_is_not_taken(self):
        self.provide_libtorch("2.10.0")
        code, said = run(self.program("penstock-stage-server"), "--version")
        self.assertEqual(code, 78)
        self.assertIn("libtorch 2.11.0 is not in", said)
        self.assertIn("(but 2.10.0)", said)

    def test_a_stage_server_finds_its_libtorch(self):
        self.provide_libtorch()
        version = self.field("Version")
        self.assertEqual(
            run_well(self.program("penstock-stage-server"), "--version"),
            f"penstock-stage-server {version}\n")

    def test_libraries_are_looked_for_only_in_the_package(self):
        shown = run_well("readelf", "-d",
                         self.root + "/usr/lib/penstock/penstock-stage-server")
        self.assertIn("[$ORIGIN/libtorch/torch/lib:"
                      "$ORIGIN/libtorch/nvidia/cu13/lib]", shown)
        for name in ("penstock", "penstock-coordinator", "penstock-store"):
            self.assertNotIn("PATH", run_well("readelf", "-d",
                                              self.program(name)))

    # ---- Units --------------------------------------------------------------

    def test_systemd_finds_no_fault_with_the_units(self):
        # What it would start has to be there under that name.
        to = tempfile.mkdtemp(dir=self.folder)
        for name in UNITS:
            with open(f"{self.root}/usr/lib/systemd/system/{name}") as f:
                text = f.read().replace("=/usr/bin/", f"={self.root}/usr/bin/")
            with open(f"{to}/{name.replace('@.', '@0.')}", "w") as f:
                f.write(text)
        for path in glob.glob(to + "/*"):
            self.assertEqual(
                run_well("systemd-analyze", "verify", "--man=no", path), "")

    def test_units_are_confined(self):
        for name, limit in zip(UNITS, (20, 20, 25)):
            path = f"{self.root}/usr/lib/systemd/system/{name}"
            run_well("systemd-analyze", "security", "--offline=true",
                     f"--threshold={limit}", path)

    def test_units_are_watched_restarted_and_ended_gently(self):
        for name in UNITS:
            unit = self.unit(name)
            self.assertEqual(unit.get("Type"), "notify")
            self.assertGreaterEqual(int(unit.get("WatchdogSec")), 30)
            self.assertEqual(unit.get("Restart"), "on-failure")
            self.assertEqual(unit.get("KillMode"), "mixed")
            self.assertEqual(unit.get("User"), "penstock")
            self.assertEqual(unit.get("RestartPreventExitStatus").split()[0],
                             "2")
        server = self.unit("penstock-stage-server@.service")
        self.assertIn("78", server.get("RestartPreventExitStatus").split())
        self.assertGreater(
            int(server.get("TimeoutStopSec")),
            int(server.environment()["PENSTOCK_LEAVE_DEADLINE"]) + 5)

    def test_settings_name_what_the_units_read(self):
        for unit, settings in zip(UNITS, ("coordinator", "store",
                                          "stage-server")):
            with open(f"{self.root}/etc/penstock/{settings}.env") as f:
                text = f.read()
            command = self.unit(unit).get("ExecStart")
            named = set(re.findall(r"^#?(PENSTOCK_\w+)=", text, re.MULTILINE))
            read = set(re.findall(r"\$\{?(PENSTOCK_\w+)", command))
            read |= set(self.unit(unit).environment())
            self.assertLessEqual(named, read)
            # As installed, no setting differs from the unit's.
            self.assertEqual(re.findall(r"^[^#\n]", text, re.MULTILINE), [])

    def start_unit(self, name, settings, instance="0"):
        """Starts what the unit would, in place of systemd, until it is ready;
        returns its status."""
        state = tempfile.mkdtemp(dir=self.folder)
        listener = self.enterContext(
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        listener.bind(f"\0penstock-packaging-{os.getpid()}-{name}")
        listener.settimeout(60)
        command = [
            word.replace("/usr/bin", self.root + "/usr/bin")
            .replace("/var/lib/penstock", state)
            .replace("/etc/penstock", state)
            .replace("%i", instance).replace("%l", "host")
            for word in self.unit(name).command(settings)]
        with open(state + "/store.key", "w") as f:
            f.write("0123456789abcdef0123456789abcdef\n")
        # As StateDirectory= does.
        os.makedirs(state + self.unit(name).get("StateDirectory")
                    .removeprefix("penstock").replace("%i", instance))
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True,
            env={**self.unit(name).environment(), **settings,
                 "NOTIFY_SOCKET": listener.getsockname().decode()
                 .replace("\0", "@"),
                 "WATCHDOG_USEC": self.unit(name).get("WatchdogSec") + "000000",
                 "PATH": "/usr/bin:/bin"})
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        try:
            while True:
                message = listener.recv(4096).decode()
                if "READY=1" in message:
                    break
        except TimeoutError:
            process.kill()
            self.fail(process.stderr.read())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0, process.stderr.read())
        return re.search("STATUS=(.*)", message)[1]

    def test_what_the_units_start_becomes_ready_and_stops(self):
        free = {"PENSTOCK_LISTEN": "127.0.0.1:0"}
        self.assertIn("serving on 127.0.0.1:",
                      self.start_unit("penstock-coordinator.service", free))
        self.assertIn("/store on 127.0.0.1:",
                      self.start_unit("penstock-store.service", free))
        self.provide_libtorch()
        self.assertEqual(
            "started",
            self.start_unit("penstock-stage-server@.service",
                            {"PENSTOCK_COORDINATOR": "127.0.0.1:1"}))

    # ---- make install -------------------------------------------------------

    def install(self, *arguments):
        return run(ROOT + "/tools/install", "--from", ROOT, *arguments)

    def test_installs_under_a_prefix_and_keeps_settings(self):
        to = tempfile.mkdtemp(dir=self.folder)
        os.makedirs(to + "/etc/penstock")
        with open(to + "/etc/penstock/store.env", "w") as f:
            f.write("# mine\n")
        code, said = self.install("--destdir", to, "--prefix", "/opt/penstock")
        self.assertEqual(code, 0, said)
        unit = Unit(to + "/opt/penstock/lib/systemd/system/"
                    "penstock-coordinator.service")
        self.assertTrue(unit.get("ExecStart").startswith(
            "/opt/penstock/bin/penstock-coordinator "))
        self.assertEqual(unit.get("Documentation"),
                         "file:/opt/penstock/share/doc/penstock/install.md")
        with open(to + "/etc/penstock/store.env") as f:
            self.assertEqual(f.read(), "# mine\n")
        self.assertIn("penstock", run_well(to + "/opt/penstock/bin/penstock",
                                           "version"))

    def test_wrong_usage_of_install_is_said(self):
        for arguments, code, text in (
                (("--prefix", "usr"), 2, "--prefix usr is not absolute"),
                (("--prefix",), 2, "--prefix wants a folder"),
                (("--force",), 2, "unknown argument --force"),
                (("--from", "/nowhere"), 1, "make build")):
            got, said = self.install(*arguments)
            self.assertEqual(got, code)
            self.assertIn(text, said)


if __name__ == "__main__":
    unittest.main()
