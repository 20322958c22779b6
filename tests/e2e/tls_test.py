"""A whole cluster with certificates: coordinator, store, stage servers, people."""

import os
import tempfile
import unittest

from cluster import Cluster, wait_for


class TlsTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cluster = self.enterContext(Cluster(self.folder))
        self.cluster.prepare_tokens()

    def test_a_job_with_certificates_has_the_bits_of_one_without(self):
        plain = self.enterContext(Cluster(
            self.enterContext(tempfile.TemporaryDirectory()), quiet=True))
        plain.prepare_tokens()
        plain.start(servers=2)
        want = plain.wait_for_state(
            plain.submit(plain.write_job("plain", steps=20)), "SUCCEEDED")

        cluster = self.cluster
        cluster.use_certificates(
            ("stage-server", "server-0"), ("stage-server", "server-1"),
            ("store", "store"), ("user", "alice"))
        cluster.start_store()
        cluster.start(servers=2)
        cluster.person = "alice"
        job = cluster.submit(cluster.write_job(
            "kept", steps=20, checkpoint="{every_steps: 5}"))
        got = cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(got["weights_digest"], want["weights_digest"])
        cluster.penstock("ckpt", "verify", job)
        weights = os.path.join(self.folder, "weights")
        cluster.penstock("ckpt", "export", job, weights)
        self.assertIn("model.safetensors.index.json", os.listdir(weights))
        self.assertRegex(
            cluster.log_of("coordinator"),
            "AUDIT user/alice at [^ ]* asks for SubmitJob of new job kept")

    def test_each_may_do_what_its_role_says(self):
        cluster = self.cluster
        cluster.use_certificates(
            ("stage-server", "server-0"), ("stage-server", "server-1"),
            ("viewer", "victor"))
        cluster.start(servers=2)
        job = cluster.submit(cluster.write_job("long", steps=100_000))
        cluster.wait_for_step(job, 1)
        cluster.person = "victor"
        self.assertEqual(cluster.job(job)["state"], "RUNNING")
        error = cluster.penstock_error("cancel", job, code=77)
        self.assertIn("viewer/victor may not call", error)
        cluster.certificates = None
        error = cluster.penstock_error("list", code=69)
        self.assertIn("--tls-dir", error)
        # Another server's certificate is of no use to this one.
        cluster.certificates = os.path.join(self.folder, "certs")
        os.rename(os.path.join(cluster.certificates, "server-1"),
                  os.path.join(cluster.certificates, "server-2"))
        cluster.start_server("server-2")
        wait_for(lambda: "--role stage-server --name server-2" in
                 cluster.log_of("server-2"), "the refusal")
        cluster.person = "admin"
        cluster.penstock("cancel", job)

    def test_renewed_certificates_are_taken_up_while_a_job_runs(self):
        cluster = self.cluster
        cluster.use_certificates(
            ("stage-server", "server-0"), ("stage-server", "server-1"))
        cluster.start(servers=2)
        job = cluster.submit(cluster.write_job("long", steps=100_000))
        step = cluster.wait_for_step(job, 1)["step"]
        cluster.certs("rotate")
        # A new process has the new one alone.
        self.assertEqual(cluster.job(job)["state"], "RUNNING")
        cluster.wait_for_step(job, step + 5)
        self.assertEqual(cluster.job(job)["epoch"], 1)
        cluster.kill_coordinator()
        cluster.start_coordinator()
        after = wait_for(lambda: cluster.job(job)["step"], "the step")
        cluster.wait_for_step(job, after + 5)
        self.assertEqual(cluster.job(job)["epoch"], 1)
        cluster.penstock("cancel", job)


if __name__ == "__main__":
    unittest.main(verbosity=2)
