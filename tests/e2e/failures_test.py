"""What goes wrong with real processes: clear words, nothing lost, no leftover.
"""

import os
import resource
import signal
import tempfile
import unittest

from cluster import Cluster, wait_for_exit

LONG = 1_000_000


class FailuresTest(unittest.TestCase):

    def setUp(self):
        self.cluster = self.enterContext(
            Cluster(self.enterContext(tempfile.TemporaryDirectory())))
        self.cluster.prepare_tokens()

    def start_long_job(self, **options):
        job = self.cluster.submit(
            self.cluster.write_job("long", steps=LONG, **options))
        self.cluster.wait_for_step(job, 1)
        return job

    def assert_serves(self, stages):
        job = self.cluster.submit(
            self.cluster.write_job("next", steps=3, stages=stages))
        self.assertEqual(
            self.cluster.wait_for_state(job, "SUCCEEDED")["step"], 3)

    def test_a_killed_server_fails_its_job_and_the_others_serve_on(self):
        self.cluster.start(servers=2)
        job = self.start_long_job(restart="{limit: 0}")
        victim = self.cluster.servers["server-1"]
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        failed = self.cluster.wait_for_state(job, "FAILED")
        self.assertIn("server-1", failed["reason"])
        self.assert_serves(stages=1)

        self.cluster.start_server("server-1")
        self.assert_serves(stages=2)

    def test_a_killed_replica_fails_its_job_with_its_name(self):
        # One stage on three servers: all that they say to each other are
        # gradients to sum, and the norm.
        self.cluster.start(servers=3)
        job = self.start_long_job(stages=1, replicas="3",
                                  restart="{limit: 0}")
        victim = self.cluster.servers["server-1"]
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        failed = self.cluster.wait_for_state(job, "FAILED")
        self.assertIn("server-1", failed["reason"])
        self.cluster.wait_for_idle(2)
        self.assert_serves(stages=2)

    def test_sigterm_in_a_step_ends_a_server_and_says_why(self):
        self.cluster.server_flags = ["--leave-deadline", "0"]
        self.cluster.start(servers=2)
        job = self.start_long_job(restart="{limit: 0}")
        self.cluster.servers["server-0"].send_signal(signal.SIGTERM)
        self.assertEqual(wait_for_exit(self.cluster.servers["server-0"]), 0)
        failed = self.cluster.wait_for_state(job, "FAILED")
        self.assertIn("server-0 was told to stop", failed["reason"])
        self.assert_serves(stages=1)

    def test_idle_processes_end_at_the_first_signal(self):
        self.cluster.start(servers=2)
        for process, number in (
                (self.cluster.servers["server-0"], signal.SIGINT),
                (self.cluster.servers["server-1"], signal.SIGTERM),
                (self.cluster.coordinator, signal.SIGINT)):
            process.send_signal(number)
            self.assertEqual(wait_for_exit(process), 0)
        self.cluster.penstock("list", code=69)

    def test_a_second_process_with_the_same_id_is_refused(self):
        self.cluster.start(servers=1)
        twin = self.cluster.start_server("twin", state_of="server-0")
        self.assertEqual(wait_for_exit(twin), 1)
        last = self.cluster.log_of("twin").strip().splitlines()[-1]
        self.assertIn("penstock-stage-server: error:", last)
        self.assertIn("live stage server", last)
        self.assert_serves(stages=1)

    def test_a_loss_that_is_no_number_ends_the_job_with_step_and_stage(self):
        self.cluster.start(servers=2)
        job = self.cluster.submit(self.cluster.write_job(
            "hot", steps=LONG, optimizer="{kind: sgd, learning_rate: 1e30}"))
        failed = self.cluster.wait_for_state(job, "FAILED")
        self.assertRegex(failed["reason"],
                         r"step 2, stage 1, microbatch 0: the loss is -?nan")
        self.assert_serves(stages=2)

    def test_float16_skips_bad_steps_until_its_scale_fits(self):
        self.cluster.start(servers=2)
        path = self.cluster.write_job("half", steps=12)
        scale = ["--set", "dtype=float16", "--set", "loss_scale.backoff=0.125",
                 "--set", "loss_scale.initial=1e9"]
        job = self.cluster.wait_for_state(
            self.cluster.submit(path, *scale), "SUCCEEDED")
        self.assertGreater(job["skipped_steps"], 0)
        self.assertLess(job["skipped_steps"], 12)
        self.assertLess(job["loss_scale"], 1e9)
        failed = self.cluster.wait_for_state(self.cluster.submit(
            path, *scale, "--set", "loss_scale.minimum=1e9"), "FAILED")
        self.assertIn("is not finite at the smallest loss scale",
                      failed["reason"])

    def test_data_that_has_gone_fails_the_job_with_its_path(self):
        self.cluster.start(servers=0)
        job = self.cluster.submit(self.cluster.write_job("missing", steps=3))
        tokens = os.path.join(self.cluster.folder, "tokens.bin")
        os.remove(tokens)
        for name in ("server-0", "server-1"):
            self.cluster.start_server(name)
        failed = self.cluster.wait_for_state(job, "FAILED")
        self.assertIn(tokens, failed["reason"])

        self.cluster.prepare_tokens()
        self.assert_serves(stages=2)

    def test_a_full_disk_refuses_a_job_and_loses_nothing(self):
        cluster = self.cluster
        cluster.start(servers=2)
        cluster.coordinator.send_signal(signal.SIGKILL)
        cluster.coordinator.wait()
        cluster.start_coordinator(ignore_file_size_signal=True)
        job = cluster.submit(cluster.write_job("running", steps=100))
        before = cluster.wait_for_step(job, 1)
        # No file of the coordinator can grow: what a full disk is to it.
        everything = resource.RLIM_INFINITY
        resource.prlimit(cluster.coordinator.pid, resource.RLIMIT_FSIZE,
                         (0, everything))
        refused = cluster.submit_refused(cluster.write_job("late", steps=3))
        self.assertIn("free space on its disk", refused)
        resource.prlimit(cluster.coordinator.pid, resource.RLIMIT_FSIZE,
                         (everything, everything))

        done = cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(done["step"], 100)
        self.assertEqual(done["epoch"], before["epoch"])
        self.assert_serves(stages=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
