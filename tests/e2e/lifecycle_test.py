"""Jobs through real processes: follow, cancel, queue, restart."""

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
        steps = 250
        cluster.start(servers=2)
        follower = cluster.start_penstock(
            "follow.log", "submit", cluster.write_job("first", steps),
            "--follow")
        cluster.wait_for_jobs(1)
        logs = cluster.start_penstock("logs.log", "logs", "first", "-f")
        cluster.wait_for_step("first", 1)

        second = cluster.submit(cluster.write_job("second", LONG))
        third = cluster.submit(cluster.write_job("third", steps=3))
        for job, reason in ((second, "stage servers"),
                            (third, "waits behind second")):
            waiting = cluster.wait_for_state(job, "QUEUED")
            self.assertIn(reason, waiting["reason"])
        cluster.penstock("cancel", second)
        cluster.wait_for_state(second, "CANCELLED")

        before = cluster.job("first")
        self.assertEqual(before["state"], "RUNNING")
        cluster.kill_coordinator()
        cluster.start_coordinator()
        after = cluster.job("first")
        self.assertEqual(after["state"], "RUNNING")
        self.assertEqual(after["epoch"], before["epoch"])
        self.assertEqual(cluster.job(third)["state"], "QUEUED")
        self.assertEqual(cluster.job(second)["state"], "CANCELLED")

        done = cluster.wait_for_state("first", "SUCCEEDED")
        self.assertEqual(done["step"], steps)
        self.assertEqual(done["epoch"], before["epoch"])
        self.assertEqual(len(done["weights_digest"]), 64)
        self.assertLess(done["loss"], 5)
        for watcher in (follower, logs):
            self.assertEqual(wait_for_exit(watcher), 0)
        self.assertIn(done["weights_digest"], cluster.log_of("follow"))

        ran = cluster.wait_for_state(third, "SUCCEEDED")
        self.assertEqual(ran["step"], 3)
        for server in cluster.servers.values():
            self.assertIsNone(server.poll())

    def test_a_cancelled_job_frees_its_servers_for_the_next(self):
        cluster = self.cluster
        cluster.start(servers=2)
        job = cluster.submit(cluster.write_job("long", steps=LONG))
        follower = cluster.start_penstock("follow.log", "logs", job, "-f")
        cluster.wait_for_step(job, 1)
        cluster.penstock("cancel", job)
        cluster.wait_for_state(job, "CANCELLED")
        self.assertEqual(wait_for_exit(follower), 0)
        again = cluster.submit(cluster.write_job("again", steps=3))
        done = cluster.wait_for_state(again, "SUCCEEDED")
        self.assertEqual(done["step"], 3)

    def test_ctrl_c_of_a_follower_does_not_touch_the_job(self):
        cluster = self.cluster
        cluster.start(servers=1)
        follower = cluster.start_penstock(
            "follow.log", "submit",
            cluster.write_job("watched", LONG, stages=1), "--follow")
        cluster.wait_for_jobs(1)
        cluster.wait_for_step("watched", 1)
        follower.send_signal(signal.SIGINT)
        self.assertEqual(wait_for_exit(follower), 20)
        step = cluster.job("watched")["step"]
        cluster.wait_for_step("watched", step + 1)
        self.assertEqual(cluster.job("watched")["state"], "RUNNING")


if __name__ == "__main__":
    unittest.main(verbosity=2)
