"""Jobs through real processes: follow, cancel, queue, restart, kill -9."""

import os
import signal
import tempfile
import unittest

from cluster import Cluster, wait_for_exit

LONG = 1_000_000


class LifecycleTest(unittest.TestCase):

    def setUp(self):
        self.cluster = self.enterContext(
            Cluster(self.enterContext(tempfile.TemporaryDirectory())))
        self.cluster.prepare_tokens()

    def test_jobs_queue_and_outlive_their_coordinator(self):
        cluster = self.cluster
        cluster.start(servers=2)
        first = cluster.submit(cluster.write_job("first", steps=1500))
        follower = cluster.start_penstock("follow.log", "logs", first, "-f")
        cluster.wait_for_step(first, 1)

        second = cluster.submit(cluster.write_job("second", steps=LONG))
        waiting = cluster.wait_for_state(second, "QUEUED")
        self.assertIn("server", waiting["reason"])
        third = cluster.submit(cluster.write_job("third", steps=3))
        cluster.penstock("cancel", second)
        cluster.wait_for_state(second, "CANCELLED")

        before = cluster.job(first)
        self.assertEqual(before["state"], "RUNNING")
        cluster.kill_coordinator()
        cluster.start_coordinator()
        after = cluster.job(first)
        self.assertEqual(after["epoch"], before["epoch"])

        done = cluster.wait_for_state(first, "SUCCEEDED", seconds=100)
        self.assertEqual(done["step"], 1500)
        self.assertEqual(done["epoch"], before["epoch"])
        self.assertEqual(len(done["weights_digest"]), 64)
        self.assertLess(done["loss"], 5)
        self.assertEqual(wait_for_exit(follower, 20), 0)

        ran = cluster.wait_for_state(third, "SUCCEEDED")
        self.assertEqual(ran["step"], 3)
        for server in cluster.servers.values():
            self.assertIsNone(server.poll())

    def test_a_killed_server_fails_the_job_and_its_successor_serves_on(self):
        cluster = self.cluster
        cluster.start(servers=2)
        job = cluster.submit(cluster.write_job("victim", steps=LONG))
        cluster.wait_for_step(job, 2)
        victim = cluster.servers["server-1"]
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        failed = cluster.wait_for_state(job, "FAILED")
        self.assertIn("server-1", failed["reason"])

        cluster.start_server("server-1")
        cluster.wait_for_idle(2)
        again = cluster.submit(cluster.write_job("again", steps=3))
        cluster.wait_for_state(again, "SUCCEEDED")

    def test_a_cancelled_job_frees_its_servers_for_the_next(self):
        cluster = self.cluster
        cluster.start(servers=2)
        job = cluster.submit(cluster.write_job("long", steps=LONG))
        cluster.wait_for_step(job, 1)
        cluster.penstock("cancel", job)
        cluster.wait_for_state(job, "CANCELLED")
        again = cluster.submit(cluster.write_job("again", steps=3))
        done = cluster.wait_for_state(again, "SUCCEEDED")
        self.assertEqual(done["step"], 3)

    def test_sigterm_in_a_step_ends_a_server_at_once_and_says_why(self):
        cluster = self.cluster
        cluster.start(servers=2)
        job = cluster.submit(cluster.write_job("long", steps=LONG))
        cluster.wait_for_step(job, 1)
        cluster.servers["server-0"].send_signal(signal.SIGTERM)
        self.assertEqual(wait_for_exit(cluster.servers["server-0"], 3), 0)
        failed = cluster.wait_for_state(job, "FAILED")
        self.assertIn("server-0 was told to stop", failed["reason"])
        self.assertIsNone(cluster.servers["server-1"].poll())

    def test_a_second_process_with_the_same_id_is_refused(self):
        cluster = self.cluster
        cluster.start(servers=1)
        twin = cluster.start_server("twin", state_of="server-0")
        self.assertEqual(wait_for_exit(twin, 20), 1)
        last = cluster.log_of("twin").strip().splitlines()[-1]
        self.assertIn("penstock-stage-server: error:", last)
        self.assertIn("live stage server", last)
        self.assertIsNone(cluster.servers["server-0"].poll())

    def test_data_that_has_gone_fails_the_job_with_its_path(self):
        cluster = self.cluster
        cluster.start(servers=0)
        job = cluster.submit(cluster.write_job("missing", steps=3))
        tokens = os.path.join(cluster.folder, "tokens.bin")
        os.remove(tokens)
        for name in ("server-0", "server-1"):
            cluster.start_server(name)
        failed = cluster.wait_for_state(job, "FAILED")
        self.assertIn(tokens, failed["reason"])
        cluster.wait_for_idle(2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
