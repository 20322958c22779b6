"""The PyTorch side of benchmarks: one process a rank, as torchrun starts them."""

import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_PEERS = pathlib.Path(os.environ.get(
    "XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "penstock/peers"


def has_torch():
    """Whether `tools/setup --peers` has been run."""
    return (_PEERS / ".complete").exists()


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run_torch(script, ranks, *arguments):
    """The last line that rank 0 of tests/bench/`script` prints."""
    environment = dict(os.environ, MASTER_ADDR="127.0.0.1",
                       MASTER_PORT=str(_free_port()), WORLD_SIZE=str(ranks),
                       OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
    command = [str(part) for part in (_PEERS / "bin/python",
                                      ROOT / "tests/bench" / script,
                                      *arguments)]
    processes = [subprocess.Popen(command,
                                  env=dict(environment, RANK=str(rank)),
                                  stdout=subprocess.PIPE, text=True)
                 for rank in range(ranks)]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("the PyTorch side failed; see above")
    return outputs[0].splitlines()[-1]
