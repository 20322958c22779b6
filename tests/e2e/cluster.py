"""Real processes on loopback for tests: a coordinator, stage servers, the CLI.

Everything lives in one folder, takes free ports, and ends with the test: each
process is told to end with its parent, so that even a test that is killed
leaves nothing. Waiting is for a condition, with a deadline.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import time

# For a machine that is busy with other things; an idle one needs a tenth.
DEADLINE_SECONDS = 120

# A few hundred different lines of plain words: enough that the loss moves.
WORDS = ("the quick brown fox jumps over a lazy dog while many small stages "
         "pass one tensor to the next and wait for its gradient").split()


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _end_with_parent():
    """In the child before exec: a program asks for it only once it is loaded,
    and the test may be killed before that."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def runfile(path):
    """The path of something that the test's BUILD rule lists as data."""
    return os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"],
                        path)


def binary(name):
    return runfile({
        "penstock": "client/penstock",
        "penstock-coordinator": "coordinator/penstock-coordinator",
        "penstock-stage-server": "stage_server/penstock-stage-server",
        "penstock-store": "checkpoint/penstock-store",
    }[name])


def wait_for(condition, what, pause=0.03):
    """Asks `condition` until it is true; returns its value."""
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}")
        time.sleep(pause)


def wait_for_exit(process):
    """The exit code of `process`; AssertionError if it still runs then."""
    fd = os.pidfd_open(process.pid) if process.poll() is None else None
    if fd is not None:
        ready, _, _ = select.select([fd], [], [], DEADLINE_SECONDS)
        os.close(fd)
        if not ready:
            raise AssertionError(
                f"{process.args[0]} (pid {process.pid}) still runs after "
                f"{DEADLINE_SECONDS} s")
    return process.wait()


def session_of(pid):
    """The session that a living process is in; None for any other."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            # After the command's name, which may hold spaces.
            state, _, _, session = f.read().rsplit(")", 1)[1].split()[:4]
    except OSError:
        return None
    return None if state in "ZX" else int(session)


def pids_of_session(leader):
    """Pids of the living processes of the session that `leader` began."""
    return [int(entry) for entry in os.listdir("/proc")
            if entry.isdigit() and session_of(entry) == leader]


class Cluster:
    """A coordinator and stage servers; a context manager."""

    def __init__(self, folder, quiet=False):
        """`quiet`: prints the logs only when it is asked to."""
        self.folder = folder
        self.quiet = quiet
        self.address = "127.0.0.1:0"
        self.coordinator = None
        # More flags of each coordinator that is started.
        self.coordinator_flags = []
        # And of each stage server.
        self.server_flags = []
        # The folder of certificates and the holder that the CLI shows; without
        # one everything is in the clear.
        self.certificates = None
        self.person = "admin"
        self.store = None
        self.store_address = "127.0.0.1:0"
        self.servers = {}
        self._started = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
        if not self.quiet:
            self.print_logs()

    def print_logs(self):
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                print(f"---- {name}\n{self.log_of(name[:-4])}", flush=True)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _start(self, log, arguments, environment=None, **options):
        """`environment`: beside this process's own."""
        with open(self._path(log), "a", encoding="utf-8") as out:
            process = subprocess.Popen(
                arguments, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                preexec_fn=_end_with_parent,
                env={**os.environ, **(environment or {})}, **options)
        self._started.append(process)
        return process

    def has_killed(self):
        """Whether one of the processes has ended by SIGKILL so far."""
        return any(process.poll() == -signal.SIGKILL
                   for process in self._started)

    # ---- Certificates ----

    def certs(self, command, *arguments):
        """`penstock certs`, of this cluster."""
        return subprocess.run(
            [binary("penstock"), "certs", command, self._path("certs"),
             *arguments], check=True, capture_output=True, text=True).stdout

    def use_certificates(self, *holders):
        """From now on all speak TLS; `holders` are (role, name) beside the
        coordinator and the admin."""
        self.certs("init", "--host", "127.0.0.1")
        for role, name in holders:
            self.certs("issue", "--role", role, "--name", name)
        self.certificates = self._path("certs")

    def _tls(self, holder):
        if self.certificates is None:
            return []
        return ["--tls-dir", os.path.join(self.certificates, holder)]

    # ---- Processes ----

    def start_coordinator(self, ignore_file_size_signal=False,
                          environment=None):
        """The first time on a free port, afterwards on the same one.

        `ignore_file_size_signal`: a write beyond RLIMIT_FSIZE is an error, as
        on a full disk, and not the end of the process.
        """
        address_file = self._path("address")
        if os.path.exists(address_file):
            os.remove(address_file)
        self.coordinator = self._start("coordinator.log", [
            binary("penstock-coordinator"), "--listen", self.address,
            "--store", self._path("store.db"), "--address-file", address_file,
            f"--exit-with-parent={os.getpid()}", *self._tls("coordinator"),
            *self.coordinator_flags],
            environment,
            # Python ignores SIGXFSZ itself; a child inherits that or not.
            restore_signals=not ignore_file_size_signal)

        self.address = self._wait_for_address(self.coordinator, address_file)

    def _wait_for_address(self, process, address_file):
        def address():
            if process.poll() is not None:
                raise AssertionError(f"{process.args[0]} has ended")
            try:
                with open(address_file, encoding="utf-8") as f:
                    return f.read().strip()
            except FileNotFoundError:
                return ""

        return wait_for(address, f"{process.args[0]} listens")

    def start_store(self):
        """A penstock-store, which coordinators started from now on use; the
        first time on a free port, afterwards on the same one."""
        address_file = self._path("store-address")
        key_file = self._path("store-key")
        if os.path.exists(address_file):
            os.remove(address_file)
        with open(key_file, "w", encoding="utf-8") as f:
            f.write("a secret of the tests\n")
        self.store = self._start("store.log", [
            binary("penstock-store"), "--root", self._path("kept"),
            "--key-file", key_file, "--listen", self.store_address,
            "--address-file", address_file, *self._tls("store"),
            f"--exit-with-parent={os.getpid()}"])
        self.store_address = self._wait_for_address(self.store, address_file)
        self.coordinator_flags = [
            "--checkpoint-store", self.store_address,
            "--checkpoint-store-key", key_file]

    def kill_coordinator(self):
        self.coordinator.send_signal(signal.SIGKILL)
        self.coordinator.wait()

    def kill_server(self, name):
        self.servers[name].send_signal(signal.SIGKILL)
        self.servers[name].wait()

    def start_server(self, name, state_of=None, host=None, environment=None):
        """`state_of`: take the id of that server instead of an own one.
        `host`: what it says that it runs on."""
        self.servers[name] = self._start(name + ".log", [
            binary("penstock-stage-server"), "--coordinator", self.address,
            "--name", name, "--state-dir", self._path(state_of or name),
            *self._tls(name), f"--exit-with-parent={os.getpid()}",
            *self.server_flags] +
            ([f"--host-id={host}"] if host else []), environment)
        return self.servers[name]

    def start(self, servers):
        """A coordinator and that many idle stage servers."""
        self.start_coordinator()
        for index in range(servers):
            self.start_server(f"server-{index}")
        self.wait_for_idle(servers)

    def log_of(self, name):
        with open(self._path(name + ".log"), encoding="utf-8") as f:
            return f.read()

    # ---- The CLI ----

    def penstock(self, *arguments, code=0):
        """Runs a command that ends with `code`; its standard output."""
        return self._penstock(*arguments, code=code).stdout

    def penstock_error(self, *arguments, code):
        """Runs a command that fails with `code`; its standard error."""
        return self._penstock(*arguments, code=code).stderr

    def _penstock(self, *arguments, code):
        done = subprocess.run(
            [binary("penstock"), "--coordinator", self.address,
             *self._tls(self.person), *arguments],
            capture_output=True, text=True, timeout=DEADLINE_SECONDS,
            check=False)
        if done.returncode != code:
            raise AssertionError(
                f"penstock {' '.join(arguments)}: exit code {done.returncode}, "
                f"wanted {code}\n{done.stdout}\n{done.stderr}")
        return done

    def start_penstock(self, log, *arguments):
        """Starts a command whose output goes to a log."""
        return self._start(log, [binary("penstock"), "--coordinator",
                                 self.address, *self._tls(self.person),
                                 *arguments])

    def submit(self, job_file, *arguments):
        """The id of the new job."""
        return json.loads(
            self.penstock("submit", job_file, "-o", "json", *arguments))["id"]

    def submit_refused(self, job_file):
        """What standard error says when the job is not taken."""
        return self._penstock("submit", job_file, code=1).stderr

    def job(self, job_id):
        return json.loads(self.penstock("describe", job_id, "-o", "json"))

    def wait_for_state(self, job_id, *states):
        """The job, once it is in one of `states`."""
        final = {"SUCCEEDED", "FAILED", "CANCELLED"}

        def reached():
            job = self.job(job_id)
            if job["state"] in states:
                return job
            if job["state"] in final:
                raise AssertionError(
                    f"job {job_id} is {job['state']} ({job['reason']}), wanted "
                    f"{' or '.join(states)}")
            return None

        return wait_for(reached, f"job {job_id} {' or '.join(states)}")

    def wait_for_step(self, job_id, step):
        """The job, once it has made that many steps."""
        def reached():
            job = self.job(job_id)
            return job if (job["step"] or 0) >= step else None
        return wait_for(reached, f"job {job_id} reaches step {step}")

    def wait_for_jobs(self, count):
        wait_for(lambda: len(json.loads(
            self.penstock("list", "-o", "json"))) >= count, f"{count} jobs")

    def server_list(self):
        return json.loads(self.penstock("servers", "list", "-o", "json"))

    def wait_for_idle(self, count):
        def idle():
            return sum(server["state"] == "IDLE"
                       for server in self.server_list()) >= count
        wait_for(idle, f"{count} idle stage servers")

    # ---- Files ----

    def prepare_tokens(self):
        """A small token file."""
        text = self._path("text.txt")
        with open(text, "w", encoding="utf-8") as f:
            for line in range(400):
                f.write(" ".join(WORDS[(line * 7 + i * (line % 5 + 1)) %
                                       len(WORDS)] for i in range(12)) + "\n")
        tokens = self._path("tokens.bin")
        subprocess.run([binary("penstock"), "data", "prepare", "--text", text,
                        "-o", tokens], check=True, capture_output=True)
        return tokens

    def write_job(self, name, steps, stages=2, schedule="one_f_one_b",
                  optimizer="{kind: adamw, learning_rate: 0.003}",
                  recompute="never", replicas="1", step_timeout_seconds=30,
                  data="sequence_length: 32", checkpoint="{}",
                  restart="{}", elastic="{}"):
        """A job file of a tiny GPT, dropout and tied embedding on; its path."""
        path = self._path(name + ".yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"""name: {name}
model:
  preset: gpt-nano
  overrides:
    {{layers: 2, hidden: 32, heads: 2, dropout: 0.1, tied: true}}
data:
  tokens: {self._path("tokens.bin")}
  {data}
batch_size: 8
steps: {steps}
seed: 7
optimizer: {optimizer}
schedule: {{name: {schedule}, microbatches: 4, recompute: {recompute}}}
partition: {{stages: {stages}, replicas: {replicas}}}
step_timeout_seconds: {step_timeout_seconds}
checkpoint: {checkpoint}
restart: {restart}
elastic: {elastic}
""")
        return path
