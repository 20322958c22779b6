"""When actions ran, and why a job hangs, with real processes."""

import json
import os
import signal
import tempfile
import unittest

from cluster import Cluster, wait_for

LONG = 1_000_000


class TimelineTest(unittest.TestCase):

    def setUp(self):
        self.cluster = self.enterContext(
            Cluster(self.enterContext(tempfile.TemporaryDirectory())))
        self.cluster.prepare_tokens()
        self.cluster.start(servers=2)

    def test_a_step_is_shown_beside_its_prediction(self):
        cluster = self.cluster
        job = cluster.submit(cluster.write_job("traced", steps=40))
        done = cluster.wait_for_state(job, "SUCCEEDED")
        for fraction in ("kernel", "balance", "schedule", "runtime"):
            self.assertGreater(done["fractions"][fraction], 0)
            self.assertLessEqual(done["fractions"][fraction], 1)
        self.assertIn("x runtime ", cluster.penstock("status", job))

        shown = json.loads(cluster.penstock("timeline", job, "-o", "json"))
        self.assertEqual(shown["step"], 40)
        for run in ("measured", "predicted"):
            self.assertEqual(len(shown[run]["ranks"]), 2)
            self.assertGreater(shown[run]["seconds"], 0)
        text = cluster.penstock("timeline", job, "--step", "16")
        self.assertIn("traced, step 16: measured", text)
        self.assertIn("33 of job",
                      cluster.penstock_error("timeline", job, "--step", "33",
                                             code=3))

        profile = os.path.join(cluster.folder, "profile.json")
        with open(profile, "w", encoding="utf-8") as f:
            f.write(cluster.penstock("timeline", job, "-o", "profile"))
        # With the profile of one chain of stages, without the tied weight.
        simulated = json.loads(cluster.penstock(
            "simulate", "-s", "one_f_one_b", "-p", "2", "-m", "4", "--lowered",
            "--profile", profile, "-o", "json"))
        self.assertLess(simulated[0]["makespan"],
                        1.2 * shown["predicted"]["seconds"])

    def test_a_job_that_has_not_run_has_no_timeline(self):
        cluster = self.cluster
        job = cluster.submit(cluster.write_job("wide", steps=3, stages=3))
        self.assertIn("it is QUEUED",
                      cluster.penstock_error("timeline", job, code=3))
        cluster.penstock_error("timeline", "nobody", code=3)

    def test_a_stopped_rank_is_named_by_the_report_of_the_hang(self):
        cluster = self.cluster
        job = cluster.submit(cluster.write_job(
            "stopped", steps=LONG, step_timeout_seconds=2))
        cluster.wait_for_step(job, 1)
        cluster.servers["server-1"].send_signal(signal.SIGSTOP)

        def reason():
            text = cluster.job(job)["reason"]
            return text if "has not been heard" in text else None

        text = wait_for(reason, "the hang is explained")
        # Which of them is rank 0, their ids say, which are random.
        self.assertRegex(
            text, r"rank \d \(stage \d on server-0\) waits at action \d+ of step "
                  r"\d+, .* rank \d \(stage \d on server-1\) has not been heard")
        self.assertIn("JOB_HANG", cluster.penstock("events", job))
        self.assertEqual(cluster.job(job)["state"], "FAILED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
