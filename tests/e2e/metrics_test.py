"""What Prometheus reads of a coordinator and its stage servers."""

import re
import tempfile
import unittest
import urllib.error
import urllib.request

from cluster import Cluster, wait_for


class MetricsTest(unittest.TestCase):

    def setUp(self):
        self.cluster = self.enterContext(
            Cluster(self.enterContext(tempfile.TemporaryDirectory())))
        self.cluster.prepare_tokens()
        flags = ["--metrics-listen", "127.0.0.1:0"]
        self.cluster.coordinator_flags = flags
        self.cluster.server_flags = flags
        self.cluster.start(servers=2)

    def scrape(self, process):
        """Samples by name with labels, of the process with this log."""
        url = re.search(r"metrics on (http://\S+)",
                        self.cluster.log_of(process)).group(1)
        with urllib.request.urlopen(url, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in lines if not line.startswith("#")}

    def test_a_job_is_counted_by_all_of_its_processes(self):
        cluster = self.cluster
        before = self.scrape("coordinator")
        self.assertEqual(before['penstock_servers{state="IDLE"}'], 2)
        self.assertEqual(before['penstock_jobs{state="SUCCEEDED"}'], 0)
        job = cluster.submit(cluster.write_job("counted", steps=6))
        cluster.wait_for_state(job, "SUCCEEDED")
        after = self.scrape("coordinator")
        self.assertEqual(after['penstock_jobs{state="SUCCEEDED"}'], 1)
        self.assertGreater(after["penstock_events_total"],
                           before["penstock_events_total"])
        for server in ("server-0", "server-1"):
            metrics = self.scrape(server)
            self.assertEqual(metrics["penstock_stage_server_steps_total"], 6)
            self.assertGreater(
                metrics["penstock_stage_server_busy_seconds_total"], 0)
            self.assertEqual(metrics["penstock_stage_server_session"], 1)

    def test_a_server_says_that_its_coordinator_is_away(self):
        self.cluster.kill_coordinator()
        wait_for(lambda: self.scrape("server-0")[
            "penstock_stage_server_session"] == 0, "the session's end is seen")

    def test_only_metrics_are_served(self):
        url = re.search(r"metrics on (http://[^/]+)/",
                        self.cluster.log_of("coordinator")).group(1)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url + "/jobs", timeout=30)
        self.assertEqual(refused.exception.code, 404)


if __name__ == "__main__":
    unittest.main()
