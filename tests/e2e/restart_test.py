"""Jobs that lose stage servers and go on: the same bits, and words for it."""

import signal
import tempfile
import unittest

from cluster import Cluster, wait_for, wait_for_exit

STEPS = 400
# Steps that a job has made before something is done to it.
SOME = 25


class RestartTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cluster = self.enterContext(Cluster(self.folder))
        self.cluster.prepare_tokens()

    def run_whole(self):
        """The digest that a run without any interruption ends with."""
        job = self.cluster.submit(self.cluster.write_job("whole", STEPS))
        return self.cluster.wait_for_state(job, "SUCCEEDED")["weights_digest"]

    def start_job(self, **options):
        options = {"checkpoint": "{every_steps: 5}", **options}
        job = self.cluster.submit(
            self.cluster.write_job("shaken", STEPS, **options))
        self.cluster.wait_for_step(job, SOME)
        return job

    def server_of(self, job, rank):
        return self.cluster.job(job)["ranks"][rank]["server_name"]

    def wait_for_stages(self, job, stages):
        """Until it runs with that many."""
        def reached():
            now = self.cluster.job(job)
            self.assertNotIn(now["state"], ("SUCCEEDED", "FAILED"),
                             now["reason"])
            return (now["state"] == "RUNNING" and
                    len(now["plan"]["stages"]) == stages)
        wait_for(reached, f"job {job} runs with {stages} stages")

    def assert_ended_well(self, job, digest, restarts=1):
        done = self.cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(done["step"], STEPS)
        self.assertEqual(done["weights_digest"], digest)
        self.assertEqual(done["restarts"]["count"], restarts)
        return done

    def test_a_spare_takes_the_place_of_a_killed_server(self):
        cluster = self.cluster
        cluster.start(servers=3)
        digest = self.run_whole()
        job = self.start_job()
        victim = self.server_of(job, 1)
        cluster.kill_server(victim)
        done = self.assert_ended_well(job, digest)
        report, = done["restarts"]["newest"]
        self.assertEqual(report["server"], victim)
        self.assertEqual(report["cause"], "infra")
        self.assertIn(victim, report["evidence"])
        self.assertGreater(report["from_step"], 0)
        self.assertLessEqual(report["from_step"], report["at_step"])
        for phase, milliseconds in report["phases"].items():
            self.assertIsNotNone(milliseconds, phase)
        self.assertEqual(done["epoch"], 2)
        events = cluster.penstock("events", job)
        self.assertIn("JOB_RECOVERING", events)
        self.assertIn("JOB_RESTARTED", events)
        self.assertIn(report["evidence"], cluster.penstock("describe", job))

    def test_without_a_spare_it_waits_for_the_process_to_come_back(self):
        cluster = self.cluster
        cluster.start(servers=2)
        digest = self.run_whole()
        job = self.start_job()
        cluster.kill_server("server-0")
        # First it reads the checkpoint that it starts from.
        wait_for(lambda: "needs 2 stage servers, " in cluster.job(job)["reason"],
                 "it waits for servers")
        self.assertEqual(cluster.job(job)["state"], "QUEUED")
        cluster.start_server("server-0")
        self.assert_ended_well(job, digest)

    def test_an_elastic_job_goes_on_with_fewer_stages(self):
        cluster = self.cluster
        cluster.start(servers=3)
        digest = self.run_whole()
        job = self.start_job(stages=3, elastic="{min_stages: 2}")
        cluster.kill_server(self.server_of(job, 2))
        done = self.assert_ended_well(job, digest)
        self.assertEqual(len(done["plan"]["stages"]), 2)
        self.assertIn("JOB_REPLANNED", cluster.penstock("events", job))

    def test_an_elastic_job_shrinks_twice_and_grows_again(self):
        cluster = self.cluster
        cluster.start(servers=4)
        digest = self.run_whole()
        job = self.start_job(stages=4, elastic="{min_stages: 2, grow: true}")
        for stages in (3, 2):
            cluster.kill_server(self.server_of(job, 0))
            self.wait_for_stages(job, stages)
        for index in range(4):
            if cluster.servers[f"server-{index}"].poll() is not None:
                cluster.start_server(f"server-{index}")
        self.wait_for_stages(job, 4)
        done = cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(done["weights_digest"], digest)
        causes = [one["cause"] for one in done["restarts"]["newest"]]
        self.assertEqual(causes[:2], ["infra", "infra"])
        self.assertIn(causes[2:], (["resize"], ["resize", "resize"]))

    def test_without_checkpoints_it_begins_again(self):
        cluster = self.cluster
        cluster.start(servers=3)
        digest = self.run_whole()
        job = self.start_job(checkpoint="{every_steps: 0, every_seconds: 0}")
        cluster.kill_server(self.server_of(job, 0))
        done = self.assert_ended_well(job, digest)
        report, = done["restarts"]["newest"]
        self.assertEqual(report["from"], "the beginning")
        self.assertEqual(report["steps_lost"], report["at_step"])

    def test_a_server_that_is_told_to_stop_costs_no_budget(self):
        cluster = self.cluster
        cluster.server_flags = ["--leave-deadline", "0"]
        cluster.start(servers=3)
        digest = self.run_whole()
        job = self.start_job(restart="{limit: 1}")
        leaving = self.server_of(job, 1)
        cluster.servers[leaving].send_signal(signal.SIGTERM)
        self.assertEqual(wait_for_exit(cluster.servers[leaving]), 0)
        done = self.assert_ended_well(job, digest)
        self.assertEqual(done["restarts"]["in_row"], 0)

    def test_server_and_coordinator_killed_together(self):
        cluster = self.cluster
        cluster.start(servers=3)
        digest = self.run_whole()
        job = self.start_job()
        victim = self.server_of(job, 1)
        cluster.kill_coordinator()
        cluster.kill_server(victim)
        cluster.start_coordinator()
        self.assert_ended_well(job, digest)

    def test_with_its_state_in_memory_a_loss_costs_one_step_at_most(self):
        cluster = self.cluster
        cluster.start_coordinator()
        for host in range(3):
            cluster.start_server(f"server-{host}", host=f"host-{host}")
        cluster.wait_for_idle(3)
        digest = self.run_whole()
        job = self.start_job(
            checkpoint="{every_steps: 1000, memory_every_steps: 1}")

        def kept():
            return cluster.job(job)["in_memory"]["newest_step"] > 0
        wait_for(kept, "a state in memory")
        cluster.kill_server(self.server_of(job, 1))
        done = self.assert_ended_well(job, digest)
        report, = done["restarts"]["newest"]
        self.assertIn("memory", report["from"])
        interval = done["in_memory"]["every_steps"]
        self.assertLessEqual(report["steps_lost"], 2 * interval)

    def test_killed_again_and_again_it_ends_with_the_same_bits(self):
        cluster = self.cluster
        cluster.start(servers=3)
        digest = self.run_whole()
        job = self.start_job()
        for kill in range(3):
            before = cluster.job(job)
            victim = self.server_of(job, kill % 2)
            cluster.kill_server(victim)
            cluster.start_server(victim)

            def goes_on(step=before["step"], epoch=before["epoch"]):
                now = cluster.job(job)
                return now["state"] == "SUCCEEDED" or (
                    now["epoch"] > epoch and now["step"] > step)
            wait_for(goes_on, "a step beyond the loss")
        done = cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(done["weights_digest"], digest)


if __name__ == "__main__":
    unittest.main(verbosity=2)
