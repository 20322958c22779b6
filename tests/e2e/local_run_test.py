"""`penstock local run`: one command, and nothing left behind."""

import json
import os
import signal
import subprocess
import tempfile
import unittest

from cluster import (Cluster, binary, children_of, is_alive, wait_for,
                     wait_for_exit)


class LocalRunTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cluster = self.enterContext(Cluster(self.folder))
        self.cluster.prepare_tokens()

    def start(self, steps):
        job_file = self.cluster.write_job("job", steps)
        return subprocess.Popen(
            [binary("penstock"), "local", "run", job_file, "--stages", "2",
             "-o", "json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=self.folder,
            start_new_session=True)

    def wait_for_children(self, process, count):
        """Pids of its children, once there are that many."""
        def enough():
            self.assertIsNone(process.poll(), "ended before it was stopped")
            found = children_of(process.pid)
            return found if len(found) >= count else None
        return wait_for(enough, f"{count} child processes")

    def assert_all_gone(self, pids):
        wait_for(lambda: not any(is_alive(pid) for pid in pids),
                 "no process is left", seconds=10)

    def shared_memory(self):
        return set(os.listdir("/dev/shm"))

    def test_standard_output_is_one_json_object(self):
        process = self.start(steps=3)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        job = json.loads(out)
        self.assertEqual(job["state"], "SUCCEEDED")
        self.assertEqual(job["step"], 3)
        self.assertEqual(len(job["weights_digest"]), 64)
        for key in ("loss", "tokens_per_second", "bubble_fraction"):
            self.assertIsNotNone(job[key], key)

    def stop_with(self, number, to_group):
        process = self.start(steps=1_000_000)
        before = self.shared_memory()
        children = self.wait_for_children(process, 3)
        if to_group:  # what a terminal does with Ctrl-C
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        wait_for_exit(process, 15)
        self.assert_all_gone(children)
        process.communicate()
        self.assertEqual(self.shared_memory() - before, set())
        return process.returncode

    def test_ctrl_c_leaves_no_process(self):
        self.assertEqual(self.stop_with(signal.SIGINT, to_group=True), 4)

    def test_sigterm_leaves_no_process(self):
        self.assertEqual(self.stop_with(signal.SIGTERM, to_group=False), 4)

    def test_kill_9_leaves_no_process(self):
        self.assertEqual(self.stop_with(signal.SIGKILL, to_group=False),
                         -signal.SIGKILL)


if __name__ == "__main__":
    unittest.main(verbosity=2)
