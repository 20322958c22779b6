"""Real processes over UCX give the bits of a plain single-process loop.

Loss and gradient norm of every step, and the final weights. Dropout and a tied
embedding are on: what must not depend on the cut. Without a flush nothing is
tied, and there is no norm of the whole gradient.
"""

import json
import os
import re
import subprocess
import tempfile
import unittest

from cluster import DEADLINE_SECONDS, Cluster, runfile

STEPS = 10
ADAMW = "{kind: adamw, learning_rate: 0.003, clip_norm: 1.0}"
SGD = "{kind: sgd, learning_rate: 0.1, momentum: 0.9, clip_norm: 1.0}"


def output_of(program, *arguments):
    done = subprocess.run(
        [runfile("tests/parity/real_process/" + program), *arguments],
        capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{program}: {done.stderr}")
    return json.loads(done.stdout)


class RealProcessParityTest(unittest.TestCase):

    def setUp(self):
        self.cluster = self.enterContext(
            Cluster(self.enterContext(tempfile.TemporaryDirectory())))
        self.cluster.prepare_tokens()
        self.cluster.start(servers=4)

    def job_file(self, stages, schedule, optimizer, recompute="never",
                 replicas="1", data="sequence_length: 32"):
        return self.cluster.write_job(
            f"{schedule}-{stages}", STEPS, stages, schedule,
            optimizer=optimizer, recompute=recompute, replicas=replicas,
            data=data)

    def through_processes(self, job_file):
        job = self.cluster.submit(job_file)
        self.cluster.wait_for_state(job, "SUCCEEDED")
        return output_of("training_of_job", self.cluster.address, job)

    def assert_same_bits(self, stages, schedule, optimizer, recompute="never"):
        alone = self.job_file(1, "naive", optimizer)
        plain = output_of("train_in_one_loop", alone)
        self.assertEqual(len(plain["losses"]), STEPS)
        self.assertEqual(len(plain["gradient_norms"]), STEPS)
        self.assertEqual(len(plain["weights_digest"]), 64)
        self.assertEqual(self.through_processes(alone), plain)
        cut = self.job_file(stages, schedule, optimizer, recompute)
        self.assertEqual(self.through_processes(cut), plain)

    def assert_bits_of_the_plans_order(self, stages, schedule, optimizer,
                                       replicas="1",
                                       data="sequence_length: 32"):
        """Of a plan that sums in another order than a naive one."""
        cut = self.job_file(stages, schedule, optimizer, replicas=replicas,
                            data=data)
        plain = output_of("train_in_one_loop", cut)
        self.assertEqual(len(plain["losses"]), STEPS)
        self.assertEqual(self.through_processes(cut), plain)

    def assert_bits_of_the_replayed_rule(self, stages, schedule, optimizer,
                                         recompute="never", replicas="1",
                                         evaluate_every=0):
        """Of a job that does not flush, whose weights are in one stage each.
        Evaluating it changes nothing; what was evaluated last is returned."""
        path = self.job_file(stages, schedule, optimizer, recompute, replicas)
        with open(path, encoding="utf-8") as f:
            text = f.read().replace("tied: true", "tied: false")
        if evaluate_every > 0:
            tokens = re.search(r"tokens: (.*)", text).group(1)
            text += (f"evaluation: {{every_steps: {evaluate_every}, "
                     f"microbatches: 2, tokens: {tokens}}}\n")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        plain = output_of("train_in_one_loop", path)
        self.assertEqual(len(plain["losses"]), STEPS)
        self.assertEqual(plain["gradient_norms"], [])
        job = self.cluster.submit(path)
        self.cluster.wait_for_state(job, "SUCCEEDED")
        self.assertEqual(
            output_of("training_of_job", self.cluster.address, job), plain)
        return self.cluster.job(job)

    def example(self, name):
        """An example job with fewer steps; its path."""
        with open(runfile(f"deploy/local/jobs/{name}.yaml"),
                  encoding="utf-8") as f:
            text = f.read()
        path = os.path.join(self.cluster.folder, name + ".yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub(r"^steps: .*", f"steps: {STEPS}", text,
                           flags=re.MULTILINE))
        return path

    def assert_example_has_same_bits(self, name):
        path = self.example(name)
        self.assertEqual(self.through_processes(path),
                         output_of("train_in_one_loop", path))

    # Models that are no chains, with data that servers make up.

    def test_skips_on_two_servers(self):
        self.assert_example_has_same_bits("cnn")

    def test_two_towers_on_two_servers_that_meet_on_a_third(self):
        self.assert_example_has_same_bits("two-tower")

    def test_encoder_and_decoder_on_three_servers(self):
        self.assert_example_has_same_bits("seq2seq")

    # Chains.

    def test_one_f_one_b_on_two_servers_with_adamw(self):
        self.assert_same_bits(2, "one_f_one_b", ADAMW)

    def test_gpipe_on_three_servers_with_sgd(self):
        self.assert_same_bits(3, "gpipe", SGD)

    def test_steps_of_several_lengths_on_three_servers(self):
        self.assert_bits_of_the_plans_order(
            3, "zb_h1", ADAMW, data="sequence_lengths: [8, 20, 32]")

    # Several stages a server.

    def test_loop_bfs_with_four_stages_on_two_servers(self):
        self.assert_same_bits(4, "loop_bfs", ADAMW)

    def test_interleaved_with_six_stages_on_three_servers(self):
        self.assert_same_bits(6, "interleaved", SGD, recompute="except_last")

    def test_zb_h1_on_three_servers(self):
        self.assert_same_bits(3, "zb_h1", ADAMW)

    def test_zbv_with_four_stages_on_two_servers(self):
        self.assert_same_bits(4, "zbv", ADAMW, recompute="always")

    def test_dual_pipe_v_with_four_stages_on_two_servers(self):
        self.assert_same_bits(4, "dual_pipe_v", SGD)

    # Stages on several servers, which sum their gradients.

    def test_chimera_on_two_servers(self):
        self.assert_bits_of_the_plans_order(2, "chimera", ADAMW)

    def test_chimera_on_four_servers(self):
        self.assert_bits_of_the_plans_order(4, "chimera", SGD)

    def test_two_pipelines_of_two_servers(self):
        self.assert_bits_of_the_plans_order(2, "one_f_one_b", ADAMW, "2")

    def test_three_servers_share_one_stage_and_feed_a_fourth(self):
        self.assert_bits_of_the_plans_order(2, "one_f_one_b", SGD, "[3, 1]")

    # Without a flush, on weights that are some updates old.

    def test_pipedream_on_three_servers(self):
        self.assert_bits_of_the_replayed_rule(3, "pipedream", ADAMW)

    def test_vertical_sync_on_two_servers(self):
        self.assert_bits_of_the_replayed_rule(2, "pipedream_vertical", SGD)

    def test_two_versions_on_four_servers(self):
        self.assert_bits_of_the_replayed_rule(4, "pipedream_2bw", ADAMW,
                                              recompute="always")

    def test_two_groups_on_three_servers(self):
        self.assert_bits_of_the_replayed_rule(6, "wpipe", SGD)

    def test_two_servers_share_the_first_stage_of_pipedream(self):
        self.assert_bits_of_the_replayed_rule(3, "pipedream", ADAMW,
                                              replicas="[2, 1, 1]")

    def test_two_pipelines_of_two_servers_with_two_versions(self):
        described = self.assert_bits_of_the_replayed_rule(
            2, "pipedream_2bw", SGD, replicas="2", evaluate_every=5)
        self.assertIn(described["best_step"], (5, 10))
        self.assertGreater(described["best_evaluation_loss"], 1)

    def test_evaluations_drain_two_groups_on_two_servers(self):
        described = self.assert_bits_of_the_replayed_rule(
            4, "wpipe", ADAMW, evaluate_every=5)
        self.assertIn(described["best_step"], (5, 10))


if __name__ == "__main__":
    unittest.main(verbosity=2)
