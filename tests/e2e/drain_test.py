"""Stage servers that are taken out of service under a running job, and back."""

import json
import signal
import tempfile
import unittest

from cluster import Cluster, wait_for, wait_for_exit

STEPS = 400
# Of a job that three servers are replaced under.
MANY = 1000
# Steps that a job has made before something is done to it.
SOME = 20


class DrainTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cluster = self.enterContext(Cluster(self.folder))
        self.cluster.prepare_tokens()
        self.cluster.start(servers=3)

    def run_whole(self, steps=STEPS):
        """The digest that a run without any interruption ends with."""
        job = self.cluster.submit(self.cluster.write_job("whole", steps))
        return self.cluster.wait_for_state(job, "SUCCEEDED")["weights_digest"]

    def start_job(self, steps=STEPS):
        # No checkpoint but those that are made for a server that leaves.
        job = self.cluster.submit(self.cluster.write_job(
            "moved", steps, checkpoint="{every_steps: 100000}",
            restart="{limit: 1}"))
        self.cluster.wait_for_step(job, SOME)
        return job

    def server_of(self, job, rank):
        return self.cluster.job(job)["ranks"][rank]["server_name"]

    def server(self, name):
        return next(server for server in self.cluster.server_list()
                    if server["name"] == name)

    def wait_for_more_steps(self, job):
        """Until it has made one more, or has ended."""
        before = self.cluster.job(job)

        def goes_on():
            now = self.cluster.job(job)
            return (now["step"] > before["step"] or
                    now["state"] == "SUCCEEDED")
        wait_for(goes_on, "one more step")

    def assert_moved(self, job, digest, times=1):
        """It has gone on elsewhere so often, from checkpoints that were made
        for that."""
        done = self.cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(done["weights_digest"], digest)
        self.assertEqual(done["restarts"]["count"], times)
        self.assertEqual(done["restarts"]["in_row"], 0)
        for report in done["restarts"]["newest"]:
            self.assertEqual(report["cause"], "preempt")
            self.assertGreater(report["from_step"], SOME)
        return done

    def test_a_drained_server_is_left_for_another(self):
        cluster = self.cluster
        digest = self.run_whole()
        job = self.start_job()
        drained = self.server_of(job, 1)
        answer, = json.loads(cluster.penstock(
            "servers", "drain", drained, "--wait", "--reason", "new disks",
            "-o", "json"))
        self.assertEqual(answer["duty"], "CORDONED")
        self.assertIsNone(answer["job_id"])
        self.assertIn("IDLE,CORDONED", cluster.penstock("servers", "list"))
        done = self.assert_moved(job, digest)
        self.assertNotIn(drained,
                         [rank["server_name"] for rank in done["ranks"]])
        events = cluster.penstock("events")
        for kind in ("SERVER_DRAINING", "SERVER_DRAINED"):
            self.assertIn(kind, events)

    def test_it_stays_out_of_service_over_restarts_until_it_is_uncordoned(self):
        cluster = self.cluster
        cluster.penstock("servers", "cordon", "server-1", "server-2")
        job = cluster.submit(cluster.write_job("waits", SOME))
        waiting = cluster.wait_for_state(job, "QUEUED")
        self.assertIn("2 of 3 are cordoned", waiting["reason"])
        cluster.kill_coordinator()
        cluster.kill_server("server-1")
        cluster.start_coordinator()
        cluster.start_server("server-1")
        cluster.wait_for_idle(3)
        self.assertEqual(self.server("server-1")["duty"], "CORDONED")
        self.assertEqual(cluster.job(job)["state"], "QUEUED")
        cluster.penstock("servers", "uncordon", "server-1")
        cluster.wait_for_state(job, "SUCCEEDED")
        error = cluster.penstock_error("servers", "cordon", "server-9", code=3)
        self.assertIn("did you mean", error)

    def test_a_server_that_is_told_to_stop_hands_over(self):
        cluster = self.cluster
        digest = self.run_whole()
        job = self.start_job()
        leaving = self.server_of(job, 0)
        cluster.servers[leaving].send_signal(signal.SIGTERM)
        self.assertEqual(wait_for_exit(cluster.servers[leaving]), 0)
        done = self.assert_moved(job, digest)
        report, = done["restarts"]["newest"]
        self.assertEqual(report["server"], leaving)
        self.assertIn("SERVER_LEAVING", cluster.penstock("events"))

    def test_one_server_after_the_other_is_replaced_under_a_running_job(self):
        cluster = self.cluster
        digest = self.run_whole(MANY)
        job = self.start_job(MANY)
        moves = 0
        for name in ("server-0", "server-1", "server-2"):
            had_rank = self.server(name)["job_id"] == job
            moves += had_rank
            cluster.penstock("servers", "drain", name, "--wait")
            cluster.servers[name].send_signal(signal.SIGTERM)
            self.assertEqual(wait_for_exit(cluster.servers[name]), 0)
            cluster.start_server(name)
            wait_for(lambda name=name: self.server(name)["state"] == "IDLE",
                     f"{name} is back")
            cluster.penstock("servers", "uncordon", name)
            self.wait_for_more_steps(job)
        self.assertGreaterEqual(moves, 2, "the job has ended too early")
        self.assert_moved(job, digest, times=moves)


if __name__ == "__main__":
    unittest.main(verbosity=2)
