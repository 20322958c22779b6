"""penstock-fetch-libtorch, with a pip that writes small wheels of ours."""

import os
import shutil
import subprocess
import tempfile
import textwrap
import unittest
import zipfile

TOOL = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"],
                    "tools/fetch_libtorch")

# Says how it was called, then does what pip download would have done.
PIP = textwrap.dedent("""
    import os, shutil, sys
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        sys.exit(0)
    with open(os.environ["PIP_CALLS"], "a") as calls:
        calls.write(" ".join(arguments) + "\\n")
    if os.environ.get("PIP_FAILS"):
        sys.exit("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES")
    to = arguments[arguments.index("-d") + 1]
    shutil.copytree(os.environ["PIP_WHEELS"], to)
""")

FILES = {
    "torch-2.11.0-cp311.whl": [
        "torch/lib/libc10.so", "torch/lib/libtorch_cpu.so",
        "torch/lib/libgomp.so.1", "torch/lib/libtorch_cuda.so",
        "torch/lib/libtorch_python.so", "torch/include/ATen/ATen.h",
        "torch/include/google/protobuf.h", "torch-2.11.0.dist-info/LICENSE"],
    "nvidia_cuda_runtime-13.whl": [
        "nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/include/cuda.h"],
}


class FetchLibtorchTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.calls = self.path("calls")
        os.makedirs(self.path("python/pip"))
        with open(self.path("python/pip/__main__.py"), "w") as f:
            f.write(PIP)
        open(self.path("python/pip/__init__.py"), "w").close()
        os.makedirs(self.path("wheels"))
        for wheel, names in FILES.items():
            with zipfile.ZipFile(self.path("wheels/" + wheel), "w") as z:
                for name in names:
                    z.writestr(name, name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_tool(self, *arguments, tool=TOOL, **environment):
        ran = subprocess.run(
            [tool, *arguments], capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": self.path("python"),
                 "PIP_CALLS": self.calls, "PIP_WHEELS": self.path("wheels"),
                 **environment})
        return ran.returncode, ran.stdout + ran.stderr

    def pip_calls(self):
        if not os.path.exists(self.calls):
            return []
        with open(self.calls) as f:
            return f.read().splitlines()

    def files_in(self, folder):
        return sorted(
            os.path.relpath(os.path.join(at, name), folder)
            for at, _, names in os.walk(folder) for name in names)

    def test_keeps_what_the_stage_server_loads_and_the_licences(self):
        code, said = self.run_tool("--to", self.path("libtorch"))
        self.assertEqual(code, 0, said)
        self.assertEqual(self.files_in(self.path("libtorch")), [
            ".complete", "nvidia/cu13/lib/libcudart.so.13",
            "torch-2.11.0.dist-info/LICENSE", "torch/lib/libc10.so",
            "torch/lib/libgomp.so.1", "torch/lib/libtorch_cpu.so"])
        with open(self.path("libtorch/.complete")) as f:
            self.assertEqual(f.read(), "2.11.0\n")
        self.assertEqual(sorted(os.listdir(self.folder)),
                         ["calls", "libtorch", "python", "wheels"])

    def test_headers_are_for_builds(self):
        self.run_tool("--headers", "--to", self.path("libtorch"))
        files = self.files_in(self.path("libtorch"))
        self.assertIn("torch/include/ATen/ATen.h", files)
        self.assertIn("torch/lib/libtorch_cuda.so", files)
        self.assertNotIn("torch/include/google/protobuf.h", files)

    def test_only_wheels_of_the_listed_hashes_are_taken(self):
        _, listed = self.run_tool("--list")
        self.assertEqual(listed.count("--hash=sha256:"), 3)
        self.run_tool("--to", self.path("libtorch"))
        self.assertIn("--require-hashes", self.pip_calls()[0])
        self.assertIn("--no-deps", self.pip_calls()[0])

    def test_a_refused_wheel_leaves_nothing(self):
        code, said = self.run_tool("--to", self.path("libtorch"), PIP_FAILS="1")
        self.assertEqual(code, 1)
        self.assertIn("DO NOT MATCH THE HASHES", said)
        self.assertIn("cannot fetch libtorch 2.11.0", said)
        self.assertEqual(sorted(os.listdir(self.folder)),
                         ["calls", "python", "wheels"])

    def test_a_refused_wheel_leaves_what_there_was(self):
        os.makedirs(self.path("libtorch"))
        with open(self.path("libtorch/.complete"), "w") as f:
            f.write("2.10.0\n")
        self.run_tool("--to", self.path("libtorch"), PIP_FAILS="1")
        self.assertEqual(self.files_in(self.path("libtorch")), [".complete"])

    def test_what_is_there_is_not_fetched_again(self):
        self.run_tool("--to", self.path("libtorch"))
        code, said = self.run_tool("--to", self.path("libtorch"))
        self.assertEqual(code, 0)
        self.assertIn("already", said)
        self.assertEqual(len(self.pip_calls()), 1)

    def test_another_version_is_replaced(self):
        os.makedirs(self.path("libtorch/old"))
        with open(self.path("libtorch/.complete"), "w") as f:
            f.write("2.10.0\n")
        self.assertEqual(self.run_tool("--to", self.path("libtorch"))[0], 0)
        self.assertFalse(os.path.exists(self.path("libtorch/old")))

    def test_wheels_can_come_from_a_folder(self):
        code, said = self.run_tool("--to", self.path("libtorch"), "--from",
                                   self.path("wheels"))
        self.assertEqual(code, 0, said)
        self.assertIn("--no-index --find-links " + self.path("wheels"),
                      self.pip_calls()[0])
        code, said = self.run_tool("--to", self.path("other"), "--from",
                                   self.path("nothing"))
        self.assertEqual(code, 1)
        self.assertIn("no folder " + self.path("nothing"), said)

    def test_installed_it_knows_where_to(self):
        os.makedirs(self.path("usr/bin"))
        os.makedirs(self.path("usr/lib/penstock"))
        tool = self.path("usr/bin/penstock-fetch-libtorch")
        shutil.copy(TOOL, tool)
        code, said = self.run_tool(tool=tool)
        self.assertEqual(code, 0, said)
        self.assertTrue(os.path.exists(
            self.path("usr/lib/penstock/libtorch/.complete")))

    def test_no_pip_is_said(self):
        # A package that cannot be run, in front of the machine's own.
        os.makedirs(self.path("none/pip"))
        open(self.path("none/pip/__init__.py"), "w").close()
        code, said = self.run_tool("--to", self.path("libtorch"),
                                   PYTHONPATH=self.path("none"))
        self.assertEqual(code, 1)
        self.assertIn("apt-get install python3-pip", said)

    def test_wrong_usage_is_exit_status_two(self):
        for arguments, said in ((["--nope"], "--nope"), (["--to"], "--to"),
                                ([], "--to is missing")):
            code, output = self.run_tool(*arguments)
            self.assertEqual(code, 2)
            self.assertIn(said, output)


if __name__ == "__main__":
    unittest.main()
