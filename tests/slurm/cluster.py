"""A real Slurm of two nodes on this machine, in one folder, for tests.

Start one and work with it in a shell of your own, as root:

    python -m tests.slurm.cluster
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scontrol", "srun")
NODES = ("n1", "n2")
PATIENCE = 60.0  # seconds that a machine under load may need
CONF = """\
ClusterName=twinml
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire={requeue_wait}
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2
KillWait={kill_wait}
MessageTimeout=30
{nodes}
PartitionName=debug Nodes=ALL Default=YES State=UP
PartitionName=short Nodes=n1 MaxTime=1 State=UP
PartitionName=closed Nodes=n2 MaxTime=60 State=DOWN
"""


def missing() -> str:
    """Why no Slurm can be started here, or nothing."""
    if os.geteuid() != 0:
        return "only root starts Slurm's daemons"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)} (Debian: apt-get install slurm-wlm munge)"
    return ""


@dataclass
class Cluster:
    """The daemons that were started, and the environment in which Slurm's programs reach them."""

    folder: Path
    environment: dict[str, str]
    daemons: dict[str, subprocess.Popen[bytes]]

    def call(self, *words: str, check: bool = True) -> str:
        """What one of Slurm's programs prints."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}{self.logs()}")
        return done.stdout

    def job(self, number: str) -> dict[str, str]:
        """The fields of one job."""
        shown = self.call("scontrol", "show", "job", "--oneliner", number)
        pairs = (word.partition("=") for word in shown.split())
        return {name: value for name, _, value in pairs}

    def lose(self, node: str) -> None:
        """Kill a node's daemon, as when its machine stops."""
        daemon = self.daemons.pop(node)
        daemon.kill()
        daemon.wait()

    def restore(self, node: str) -> None:
        """Start a node's daemon again."""
        self.daemons[node] = _start(self, "slurmd", "-D", "-N", node)

    def logs(self) -> str:
        """The ends of the daemons' logs, for a failed test."""
        ends = [
            f"{file.name}: {file.read_text(errors='replace')[-1500:]}"
            for file in sorted(self.folder.glob("*.log"))
        ]
        return "\n" + "\n".join(ends)


@contextmanager
def slurm(folder: Path, kill_wait: int = 10, requeue_wait: int = 5) -> Iterator[Cluster]:
    """Start munge, the controller and two nodes; at the end stop just these and their jobs.

    Args:
        kill_wait: Seconds from SIGTERM to SIGKILL.
        requeue_wait: About the seconds that a requeued job waits, which are 120 by default.
    """
    folder.chmod(0o755)
    for name in ("munge", "state", *NODES):
        (folder / name).mkdir(mode=0o755)
    ports = _free_ports(1 + len(NODES))
    cores, memory = os.cpu_count() or 1, _memory()
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={_host()} NodeAddr=127.0.0.1 Port={port} "
        f"CPUs={cores} RealMemory={memory} State=UNKNOWN"
        for name, port in zip(NODES, ports[1:], strict=True)
    )
    text = CONF.format(
        host=_host(),
        folder=folder,
        controller_port=ports[0],
        nodes=nodes,
        kill_wait=kill_wait,
        requeue_wait=requeue_wait,
    )
    (folder / "slurm.conf").write_text(text)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
    cluster = Cluster(folder, {**kept, "SLURM_CONF": str(folder / "slurm.conf")}, {})
    try:
        _start_all(cluster)
        yield cluster
    finally:
        _stop_all(cluster)


def _start_all(cluster: Cluster) -> None:
    munge = cluster.folder / "munge"
    key = munge / "key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log"}
    options = [f"--{option}={munge / name}" for option, name in files.items()]
    seed = f"--seed-file={munge / 'seed'}"
    cluster.daemons["munged"] = _start(cluster, "munged", "--foreground", *options, seed)
    _until(cluster, (munge / "socket").exists, "munged")
    cluster.daemons["slurmctld"] = _start(cluster, "slurmctld", "-D")
    for node in NODES:
        cluster.restore(node)

    def idle() -> bool:
        return cluster.call(
            "sinfo", "-h", "-N", "-p", "debug", "-o", "%T", check=False
        ).split() == ["idle"] * len(NODES)

    _until(cluster, idle, "two idle nodes")


def _start(cluster: Cluster, *words: str) -> subprocess.Popen[bytes]:
    if shutil.which("setpriv"):  # a daemon ends with the process that started it, however that ends
        words = ("setpriv", "--pdeathsig", "TERM", *words)
    with open(cluster.folder / f"{len(cluster.daemons)}.out", "ab") as output:
        return subprocess.Popen(
            words,
            env=cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the tests, which then end the daemons in order
        )


def _stop_all(cluster: Cluster) -> None:
    """Jobs first, since the daemons end their processes; then each daemon by its own id."""
    if "slurmctld" in cluster.daemons:
        for node in NODES:
            if node not in cluster.daemons:
                with contextlib.suppress(Exception):
                    cluster.restore(node)
        cluster.call("scancel", "--user=root", check=False)
        with contextlib.suppress(TimeoutError, RuntimeError):
            _until(cluster, lambda: not cluster.call("squeue", "-h").strip(), "an empty queue", 30)
    for name in [*NODES, "slurmctld", "munged"]:
        daemon = cluster.daemons.pop(name, None)
        if daemon is None:
            continue
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _until(cluster: Cluster, ready, what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Slurm: no {what} within {patience:g} s.{cluster.logs()}")
        ended = [name for name, daemon in cluster.daemons.items() if daemon.poll() is not None]
        if ended:
            outputs = "".join(f.read_text() for f in cluster.folder.glob("*.out"))
            raise RuntimeError(f"{', '.join(ended)} ended at once: {outputs}{cluster.logs()}")
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _memory() -> int:
    """Megabytes of one of the two nodes."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return max(500, int(0.4 * pages))


def main(words: Sequence[str]) -> int:
    """A shell, or the given command, beside a fresh cluster."""
    reason = missing()
    if reason:
        print(f"no Slurm here: {reason}", file=sys.stderr)
        return 1
    command = list(words) or [os.environ.get("SHELL", "/bin/sh")]
    with tempfile.TemporaryDirectory(prefix="twinml-slurm-") as folder, slurm(Path(folder)) as made:
        return subprocess.run(command, env=made.environment).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
