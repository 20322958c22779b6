"""The same bits from real processes over UCX at any number of stages.

Dropout and a tied embedding are on: what must not depend on the cut.
"""

import json
import subprocess
import tempfile
import unittest

from cluster import Cluster, binary

STEPS = 10


class RealProcessParityTest(unittest.TestCase):

    def run_job(self, cluster, stages, schedule):
        job_file = cluster.write_job("parity", STEPS, stages, schedule)
        done = subprocess.run(
            [binary("penstock"), "local", "run", job_file, "--stages",
             str(stages), "-o", "json"],
            cwd=cluster.folder, capture_output=True, text=True, timeout=120,
            check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        job = json.loads(done.stdout)
        self.assertEqual(job["step"], STEPS)
        return job["weights_digest"], job["loss"], job["gradient_norm"]

    def test_digest_loss_and_norm_do_not_depend_on_the_cut(self):
        with tempfile.TemporaryDirectory() as folder, \
                Cluster(folder) as cluster:
            cluster.prepare_tokens()
            one = self.run_job(cluster, 1, "naive")
            for stages in (2, 3):
                for schedule in ("gpipe", "one_f_one_b"):
                    with self.subTest(stages=stages, schedule=schedule):
                        self.assertEqual(
                            self.run_job(cluster, stages, schedule), one)


if __name__ == "__main__":
    unittest.main(verbosity=2)
