"""`penstock local`: one command, and nothing left behind."""

import json
import os
import signal
import stat
import subprocess
import tempfile
import unittest

from cluster import (DEADLINE_SECONDS, Cluster, binary, pids_of_session,
                     session_of, wait_for, wait_for_exit)

LONG = 1_000_000

# A phase of a run and what its folder shows once it has begun: a file, and a
# word in it.
PHASES = [
    ("the coordinator starts", "coordinator.log", ""),
    ("the stage servers start", "stage-server-0.log", ""),
    ("the job waits for servers", "coordinator.log", "JOB_QUEUED"),
    ("the job loads", "coordinator.log", "JOB_LOADING"),
    ("the job runs", "coordinator.log", "JOB_RUNNING"),
]


class LocalRunTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cluster = self.enterContext(Cluster(self.folder))
        self.cluster.prepare_tokens()
        self.run_dir = os.path.join(self.folder, "run")
        self.shared_memory = os.path.join(self.folder, "shared_memory")
        os.mkdir(self.shared_memory)

    def start(self, steps):
        """A run in a session of its own, so that its processes are known."""
        self.run_dir = tempfile.mkdtemp(dir=self.folder)
        return subprocess.Popen(
            [binary("penstock"), "local", "run",
             self.cluster.write_job("job", steps), "--stages", "2",
             "--run-dir", self.run_dir, "-o", "json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "UCX_POSIX_DIR": self.shared_memory})

    def has_come_to(self, name, word):
        try:
            with open(os.path.join(self.run_dir, name), encoding="utf-8") as f:
                return word in f.read()
        except FileNotFoundError:
            return False

    def stop_in_phase(self, phase, stop, steps=LONG):
        """Its exit code and standard output, after it was stopped there."""
        what, name, word = phase
        process = self.start(steps)
        # A phase lasts for some tens of milliseconds.
        wait_for(lambda: self.has_come_to(name, word), what, pause=0.002)
        stop(process)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
        self.assertEqual(pids_of_session(process.pid), [], err)
        self.assert_nothing_is_stale()
        return process.returncode, out

    def assert_nothing_is_stale(self):
        self.assertEqual(os.listdir(self.shared_memory), [])
        self.assertNotIn("coordinator.address", os.listdir(self.run_dir))
        for folder, _, names in os.walk(self.run_dir):
            for name in names:
                mode = os.lstat(os.path.join(folder, name)).st_mode
                self.assertTrue(stat.S_ISREG(mode), name)

    def local_run(self, *arguments):
        """Its exit code, standard output and standard error."""
        process = subprocess.run(
            [binary("penstock"), "local", "run", *arguments, "--run-dir",
             os.path.join(self.folder, "emulated"), "-o", "json"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=DEADLINE_SECONDS, check=False)
        return process.returncode, process.stdout, process.stderr

    def write_profile(self, layers, tensors):
        path = os.path.join(self.folder, "profile.json")
        seconds = 0.001
        with open(path, "w", encoding="utf-8") as file:
            json.dump({
                "layers": [{"name": f"l{i}", "forward_seconds": seconds,
                            "input_gradient_seconds": seconds,
                            "weight_gradient_seconds": seconds}
                           for i in range(layers)],
                "tensors": [{"name": f"l{i}", "bytes": 4096}
                            for i in range(tensors)]}, file)
        return path

    def test_emulated_devices_need_no_model(self):
        code, out, err = self.local_run(
            "--emulate", self.write_profile(4, 4), "--stages", "4",
            "--set", "steps=3", "--set", "schedule.name=zb_h1")
        self.assertEqual(code, 0, err)
        job = json.loads(out)
        self.assertEqual(job["state"], "SUCCEEDED")
        self.assertEqual(len(job["ranks"]), 4)
        self.assertIsNone(job["loss"])
        self.assertIsNone(job["weights_digest"])
        # 16 microbatches of 3 ms on each of the ranks.
        self.assertGreater(job["step_seconds"], 0.048)

    def test_a_profile_without_the_tensor_of_a_cut_is_refused(self):
        code, _, err = self.local_run(
            "--emulate", self.write_profile(4, 1), "--stages", "2")
        self.assertEqual(code, 2, err)
        self.assertIn('no size of tensor "l1", which goes from stage 0 to 1',
                      err)

    def test_standard_output_is_one_json_object(self):
        process = self.start(steps=3)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
        self.assertEqual(process.returncode, 0, err)
        job = json.loads(out)
        self.assertEqual(job["state"], "SUCCEEDED")
        self.assertEqual(job["step"], 3)
        self.assertEqual(len(job["weights_digest"]), 64)
        for key in ("loss", "tokens_per_second", "bubble_fraction"):
            self.assertIsNotNone(job[key], key)
        self.assertEqual(pids_of_session(process.pid), [])
        self.assert_nothing_is_stale()

    def test_a_schedule_of_ones_own_trains_to_the_same_bits(self):
        job = self.cluster.write_job("job", 3)

        def run(*arguments):
            done = subprocess.run(
                [binary("penstock"), "local", "run", job, "--stages", "2",
                 "-o", "json", "--run-dir",
                 tempfile.mkdtemp(dir=self.folder), *arguments],
                capture_output=True, text=True, timeout=DEADLINE_SECONDS)
            return done.returncode, done.stdout, done.stderr

        # One forward more ahead than 1F1B has; gradients in the same order.
        mine = os.path.join(self.folder, "mine.txt")
        text = ("penstock-schedule 1\nname mine\nmicrobatches 4\n"
                "placement r0 r1\nr0: 0F0 0F1 0F2 0B0 0F3 0B1 0B2 0B3\n"
                "r1: 1F0 1B0 1F1 1B1 1F2 1B2 1F3 1B3\n")
        with open(mine, "w", encoding="utf-8") as f:
            f.write(text)
        code, own, err = run("--set", "schedule.file=" + mine)
        self.assertEqual(code, 0, err)
        _, built_in, _ = run()
        self.assertEqual(json.loads(own)["weights_digest"],
                         json.loads(built_in)["weights_digest"])

        with open(mine, "w", encoding="utf-8") as f:
            f.write(text.replace("1F0 1B0", "1B0 1F0"))
        code, _, err = run("--set", "schedule.file=" + mine)
        self.assertEqual(code, 2, err)
        self.assertIn("schedule.file: ", err)
        self.assertIn(">1B0<", err)

    def test_ctrl_c_in_any_phase_leaves_nothing(self):
        def ctrl_c(process):  # what a terminal does
            os.killpg(process.pid, signal.SIGINT)
        for phase in PHASES:
            with self.subTest(phase[0]):
                code, _ = self.stop_in_phase(phase, ctrl_c)
                self.assertEqual(code, 4)

    def test_sigterm_in_any_phase_leaves_nothing(self):
        for phase in PHASES:
            with self.subTest(phase[0]):
                code, _ = self.stop_in_phase(phase, subprocess.Popen.terminate)
                self.assertEqual(code, 4)

    def test_sigterm_after_the_job_keeps_its_outcome(self):
        phase = ("the job has ended", "coordinator.log", "JOB_SUCCEEDED")
        code, out = self.stop_in_phase(phase, subprocess.Popen.terminate,
                                       steps=3)
        self.assertEqual(code, 0)
        self.assertEqual(json.loads(out)["state"], "SUCCEEDED")

    def test_second_ctrl_c_leaves_nothing_either(self):
        def twice(process):
            os.killpg(process.pid, signal.SIGINT)
            os.killpg(process.pid, signal.SIGINT)
        code, _ = self.stop_in_phase(PHASES[-1], twice)
        self.assertEqual(code, 4)

    def test_a_cancelled_run_still_prints_its_job(self):
        code, out = self.stop_in_phase(PHASES[-1], subprocess.Popen.terminate)
        self.assertEqual(code, 4)
        self.assertEqual(json.loads(out)["state"], "CANCELLED")

    def test_kill_9_leaves_no_process(self):
        process = self.start(LONG)
        wait_for(lambda: self.has_come_to("coordinator.log", "JOB_RUNNING"),
                 "the job runs")
        process.kill()
        wait_for_exit(process)
        wait_for(lambda: not pids_of_session(process.pid),
                 "no process is left")
        process.communicate()


class LocalUpTest(unittest.TestCase):

    def penstock(self, *arguments, code=0):
        done = subprocess.run(
            [binary("penstock"), *arguments], capture_output=True, text=True,
            timeout=DEADLINE_SECONDS, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout + done.stderr

    def test_up_serves_jobs_until_down(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        state = os.path.join(folder, "state")
        up = json.loads(self.penstock(
            "local", "up", "--stages", "1", "--listen", "127.0.0.1:0",
            "--state-dir", state, "-o", "json"))
        with open(os.path.join(state, "processes.json"), encoding="utf-8") as f:
            pids = [process["pid"] for process in json.load(f)["processes"]]
        try:
            cluster = self.enterContext(Cluster(folder))
            cluster.address = up["coordinator"]
            cluster.prepare_tokens()
            job = cluster.submit(cluster.write_job("job", 2, stages=1))
            cluster.wait_for_state(job, "SUCCEEDED")
            again = self.penstock("local", "up", "--listen", "127.0.0.1:0",
                                  "--state-dir", state, code=1)
            self.assertIn("up already", again)
        finally:
            self.penstock("local", "down", "--state-dir", state)
        self.assertEqual(len(pids), 2)
        self.assertEqual([pid for pid in pids if session_of(pid)], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
