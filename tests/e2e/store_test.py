"""Checkpoints in a penstock-store, a process of their own."""

import json
import os
import tempfile
import unittest

from cluster import Cluster, wait_for


class StoreTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cluster = self.enterContext(Cluster(self.folder))
        self.cluster.prepare_tokens()

    def committed(self, job):
        return [one["step"] for one in json.loads(
            self.cluster.penstock("ckpt", "list", job, "-o", "json"))
                if one["state"] == "COMMITTED"]

    def test_a_store_that_is_killed_costs_neither_job_nor_checkpoint(self):
        cluster = self.cluster
        steps = 200
        cluster.start_store()
        cluster.start(servers=2)
        whole = cluster.wait_for_state(
            cluster.submit(cluster.write_job("whole", steps)), "SUCCEEDED")
        job = cluster.submit(cluster.write_job(
            "kept", steps, checkpoint="{every_steps: 2}"))
        wait_for(lambda: self.committed(job), "a checkpoint")
        cluster.store.kill()
        cluster.store.wait()
        cluster.start_store()
        done = cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(done["weights_digest"], whole["weights_digest"])
        self.assertEqual(self.committed(job)[-1], steps)
        for step in self.committed(job):
            cluster.penstock("ckpt", "verify", f"{job}@{step}")
        # They are there, and nowhere else.
        self.assertIn(job, os.listdir(os.path.join(self.folder, "kept")))
        self.assertNotIn("checkpoints", os.listdir(self.folder))
        weights = os.path.join(self.folder, "weights")
        cluster.penstock("ckpt", "export", job, weights)
        self.assertIn("model.safetensors.index.json", os.listdir(weights))

    def test_a_coordinator_that_is_started_again_finds_them(self):
        cluster = self.cluster
        cluster.start_store()
        cluster.start(servers=2)
        job_file = cluster.write_job("base", steps=4)
        job = cluster.submit(job_file)
        cluster.wait_for_state(job, "SUCCEEDED")
        cluster.kill_coordinator()
        cluster.start_coordinator()
        cluster.wait_for_idle(2)
        self.assertEqual(self.committed(job), [4])
        longer = cluster.submit(job_file, "--resume=require", "--set",
                                "steps=6")
        self.assertEqual(
            cluster.wait_for_state(longer, "SUCCEEDED")["step"], 6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
