"""Checkpoints through real processes: resume, suspend, crashes, damage."""

import json
import os
import signal
import tempfile
import unittest

from cluster import Cluster, wait_for


class CheckpointTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cluster = self.enterContext(Cluster(self.folder))
        self.cluster.prepare_tokens()

    def checkpoints(self, *arguments):
        return json.loads(
            self.cluster.penstock("ckpt", "list", *arguments, "-o", "json"))

    def committed(self, job):
        return [one["step"] for one in self.checkpoints(job)
                if one["state"] == "COMMITTED"]

    def wait_for_committed(self, job, beyond=0):
        """The newest step of a complete checkpoint, once it is past that."""
        def newest():
            steps = self.committed(job)
            return steps[-1] if steps and steps[-1] > beyond else None
        return wait_for(newest, f"a checkpoint of {job} after step {beyond}")

    def run_whole(self, name, steps):
        """What a run without any interruption ends with."""
        job = self.cluster.submit(self.cluster.write_job(name, steps))
        return self.cluster.wait_for_state(job, "SUCCEEDED")

    def shard_of(self, job, step, ending):
        """The path of one file of a checkpoint."""
        root = os.path.join(self.folder, "checkpoints", job)
        folder, = (name for name in os.listdir(root)
                   if name.startswith(f"step-{step:09d}."))
        names = sorted(name for name in os.listdir(os.path.join(root, folder))
                       if name.endswith(ending))
        return os.path.join(root, folder, names[0])

    def test_a_job_resumed_at_another_stage_count_has_the_same_bits(self):
        cluster = self.cluster
        steps = 300
        cluster.start(servers=3)
        whole = self.run_whole("whole", steps)
        cut = cluster.write_job("cut", steps, checkpoint="{every_steps: 5}")
        first = cluster.submit(cut)
        self.wait_for_committed(first)
        cluster.penstock("cancel", first)
        cluster.wait_for_state(first, "CANCELLED", "SUCCEEDED")
        start = self.committed(first)[-1]

        if cluster.job(first)["state"] == "CANCELLED":
            second = cluster.submit(cut, "--stages", "3", "--resume=require")
            done = cluster.wait_for_state(second, "SUCCEEDED")
            self.assertEqual(done["started_from"]["job_id"], first)
            self.assertEqual(done["started_from"]["step"], start)
        else:
            done = cluster.job(first)
        self.assertEqual(done["weights_digest"], whole["weights_digest"])
        self.assertEqual(done["loss"], whole["loss"])
        self.assertEqual(self.committed(done["id"])[-1], steps)

    def test_a_suspended_job_gives_its_servers_back_and_goes_on(self):
        cluster = self.cluster
        steps = 300
        cluster.start(servers=2)
        whole = self.run_whole("whole", steps)
        job = cluster.submit(cluster.write_job("paused", steps))
        cluster.wait_for_step(job, 3)
        cluster.penstock("suspend", job)
        paused = cluster.wait_for_state(job, "SUSPENDED")
        self.assertLess(self.committed(job)[-1], steps)
        cluster.wait_for_idle(2)
        other = cluster.submit(cluster.write_job("other", steps=3))
        cluster.wait_for_state(other, "SUCCEEDED")

        cluster.penstock("resume", job)
        done = cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(done["epoch"], paused["epoch"] + 1)
        self.assertEqual(done["weights_digest"], whole["weights_digest"])

    def test_a_stage_server_that_dies_costs_no_checkpoint(self):
        cluster = self.cluster
        steps = 60
        cluster.start(servers=2)
        whole = self.run_whole("whole", steps)
        job_file = cluster.write_job("killed", steps,
                                     checkpoint="{every_steps: 1}",
                                     restart="{limit: 0}")
        job = cluster.submit(job_file)
        self.wait_for_committed(job)
        cluster.servers["server-1"].send_signal(signal.SIGKILL)
        cluster.servers["server-1"].wait()

        def ended():
            return cluster.job(job)["state"] in ("FAILED", "SUCCEEDED")
        wait_for(ended, "the job notices")
        for step in self.committed(job):
            cluster.penstock("ckpt", "verify", f"{job}@{step}")
        if cluster.job(job)["state"] == "FAILED":
            cluster.start_server("server-2")
            cluster.wait_for_idle(2)
            job = cluster.submit(job_file, "--resume=auto")
            self.assertGreater(cluster.job(job)["started_from"]["step"], 0)
        done = cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(done["weights_digest"], whole["weights_digest"])

    def test_a_coordinator_that_dies_loses_no_checkpoint(self):
        cluster = self.cluster
        steps = 200
        cluster.start(servers=2)
        whole = self.run_whole("whole", steps)
        job = cluster.submit(cluster.write_job(
            "orphaned", steps, checkpoint="{every_steps: 2}"))
        newest = 0
        for _ in range(3):
            newest = self.wait_for_committed(job, newest)
            cluster.kill_coordinator()
            cluster.start_coordinator()
            for one in self.checkpoints(job):
                self.assertNotEqual(one["state"], "CORRUPT")
            self.assertGreaterEqual(self.committed(job)[-1], newest)
        done = cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(done["epoch"], 1)
        self.assertEqual(done["weights_digest"], whole["weights_digest"])
        for step in self.committed(job):
            cluster.penstock("ckpt", "verify", f"{job}@{step}")

    def test_a_damaged_checkpoint_is_named_and_the_older_one_used(self):
        cluster = self.cluster
        cluster.start(servers=2)
        job_file = cluster.write_job(
            "worn", steps=20, checkpoint="{every_steps: 10, keep_last: 9}")
        job = cluster.submit(job_file)
        whole = cluster.wait_for_state(job, "SUCCEEDED")
        steps = self.committed(job)
        cluster.penstock("ckpt", "rm", f"{job}@{steps[-1]}")
        steps.pop()
        if len(steps) < 1:
            self.skipTest("the machine was too slow for a second checkpoint")
        shard = self.shard_of(job, steps[-1], ".w.safetensors")
        with open(shard, "r+b") as f:
            f.seek(-1, os.SEEK_END)
            last = f.read(1)[0]
            f.seek(-1, os.SEEK_END)
            f.write(bytes([last ^ 1]))
        error = cluster.penstock_error("ckpt", "verify", f"{job}@{steps[-1]}",
                                       code=1)
        self.assertIn(os.path.basename(shard), error)
        states = {one["step"]: one["state"] for one in self.checkpoints(job)}
        self.assertEqual(states[steps[-1]], "CORRUPT")
        refused = cluster.penstock_error(
            "submit", job_file, "--from", f"{job}@{steps[-1]}", code=1)
        self.assertIn("CORRUPT", refused)
        self.assertEqual(whole["step"], 20)

    def test_what_cannot_be_started_from_is_refused(self):
        cluster = self.cluster
        cluster.start(servers=2)
        job_file = cluster.write_job("base", steps=4)
        self.assertIn("no job \"base\"", cluster.penstock_error(
            "submit", job_file, "--resume=require", code=3))
        job = cluster.submit(job_file)
        cluster.wait_for_state(job, "SUCCEEDED")
        self.assertIn(f"{job}@4", cluster.penstock_error(
            "submit", job_file, "--from", f"{job}@3", code=3))
        self.assertIn("has made 4 steps", cluster.penstock_error(
            "submit", job_file, "--resume=auto", code=1))
        self.assertIn("does not fit", cluster.penstock_error(
            "submit", job_file, "--resume=auto", "--set", "steps=9", "--set",
            "model.overrides.layers=3", code=1))
        self.assertIn("--force", cluster.penstock_error(
            "ckpt", "rm", f"{job}@4", code=1))

        tuned = cluster.submit(job_file, "--name", "tuned", "--from", job)
        done = cluster.wait_for_state(tuned, "SUCCEEDED")
        self.assertEqual(done["step"], 4)
        self.assertTrue(done["started_from"]["weights_only"])
        longer = cluster.submit(job_file, "--resume=require", "--set",
                                "steps=6")
        self.assertEqual(
            cluster.wait_for_state(longer, "SUCCEEDED")["step"], 6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
