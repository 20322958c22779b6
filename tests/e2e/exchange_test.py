"""Weights out of a checkpoint, into files, and back into a training."""

import json
import os
import tempfile
import unittest

from cluster import Cluster


class ExchangeTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cluster = self.enterContext(Cluster(self.folder))
        self.cluster.prepare_tokens()

    def test_imported_weights_are_those_that_were_exported(self):
        cluster = self.cluster
        cluster.start(servers=2)
        job_file = cluster.write_job("base", steps=4)
        job = cluster.submit(job_file)
        base = cluster.wait_for_state(job, "SUCCEEDED")
        # A step at the rate 0 changes no weight.
        still = cluster.write_job(
            "still", steps=1, stages=1,
            optimizer="{kind: sgd, learning_rate: 0}")
        for names in ("penstock", "gpt2"):
            weights = os.path.join(self.folder, names)
            cluster.penstock("ckpt", "export", job, weights, "--format", names)
            self.assertIn("is not empty", cluster.penstock_error(
                "ckpt", "export", job, weights, "--format", names, code=1))
            imported = json.loads(cluster.penstock(
                "ckpt", "import", weights, job_file, "--format", names,
                "--name", f"from-{names}", "-o", "json"))
            self.assertEqual(imported["state"], "COMMITTED")
            cluster.penstock("ckpt", "verify", f"from-{names}")
            tuned = cluster.submit(still, "--from", f"from-{names}",
                                   "--name", f"still-{names}")
            done = cluster.wait_for_state(tuned, "SUCCEEDED")
            self.assertEqual(done["weights_digest"], base["weights_digest"])
            self.assertTrue(done["started_from"]["weights_only"])
        # A person finds them, and what they are.
        self.assertIn("from-gpt2", cluster.penstock("ckpt", "list"))
        self.assertIn("imported", cluster.penstock("describe", "from-gpt2"))

    def test_weights_that_do_not_fit_are_named(self):
        cluster = self.cluster
        cluster.start(servers=2)
        job_file = cluster.write_job("base", steps=4)
        job = cluster.submit(job_file)
        cluster.wait_for_state(job, "SUCCEEDED")
        weights = os.path.join(self.folder, "weights")
        cluster.penstock("ckpt", "export", job, weights)
        self.assertIn("\"h2.attn.norm.weight\" is missing",
                      cluster.penstock_error(
                          "ckpt", "import", weights, job_file, "--set",
                          "model.overrides.layers=3", code=1))
        self.assertIn("\"transformer.wte.weight\" is missing",
                      cluster.penstock_error(
                          "ckpt", "import", weights, job_file, "--format",
                          "gpt2", code=1))
        listed = json.loads(cluster.penstock("ckpt", "list", "-o", "json"))
        self.assertEqual([one["job_id"] for one in listed], [job])


if __name__ == "__main__":
    unittest.main(verbosity=2)
