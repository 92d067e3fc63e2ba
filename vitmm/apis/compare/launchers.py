"""Where the processes of a comparison run: here, one after the other, or over an engine."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from vitmm.apis.compare.settings import Settings
from vitmm.errors import ConfigError


class Handle(Protocol):
    """A process that was started."""

    def poll(self) -> int | None:
        """Its exit status, or None while it runs or waits for its turn."""

    def stop(self) -> None:
        """End it."""


def command(job_file: Path, gpus: int, watch: bool) -> list[str]:
    """The command line of a job, spread over ``gpus`` processes."""
    module = ['-m', 'vitmm.apis.compare.job', str(job_file)]
    if gpus > 1:
        spread = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={gpus}']
        module = [*spread, *module]
    return [sys.executable, *module, *(['--watch'] if watch else [])]


def call(words: Sequence[str], output: str) -> int:
    """Run a command here, into a file; what an engine is handed."""
    with Path(output).open('w') as file:
        return subprocess.run(words, stdout=file, stderr=subprocess.STDOUT).returncode


class Local:
    """One process at a time on this machine.

    Attributes:
        at_once: how many jobs may be handed over before one has ended; None for all.
    """

    at_once: int | None = 1

    def start(self, words: Sequence[str], output: Path) -> Handle:
        """Start a process, in a group of its own: Ctrl-C is ours to pass on."""
        with output.open('w') as file:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,  # see job.end_with_parent
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return _Process(process)


class _Process:
    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def poll(self) -> int | None:
        return self.process.poll()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Submitit:
    """Slurm (or what ``submitit_cluster`` says) by submitit; it queues and spreads the jobs."""

    at_once = None

    def __init__(self, settings: Settings) -> None:
        try:
            import submitit
        except ImportError as error:
            raise _missing('submitit') from error
        options = dict(settings.launcher_options)
        self.executor = submitit.AutoExecutor(
            folder=settings.work_dir / 'submitit', cluster=options.pop('cluster', None)
        )
        self.executor.update_parameters(
            **{'name': 'compare', 'gpus_per_node': settings.gpus, **options}
        )

    def start(self, words: Sequence[str], output: Path) -> Handle:
        """Queue a job."""
        return _Submitted(self.executor.submit(call, list(words), str(output)))


class _Submitted:
    def __init__(self, job: Any) -> None:
        self.job = job

    def poll(self) -> int | None:
        if not self.job.done():
            return None
        # An exception is the engine's: a lost node, a time limit.
        return 1 if self.job.exception() is not None else self.job.result()

    def stop(self) -> None:
        self.job.cancel()


class Ray:
    """A Ray cluster, or all of this machine's GPUs; Ray gives each job its own."""

    at_once = None

    def __init__(self, settings: Settings) -> None:
        try:
            import ray
        except ImportError as error:
            raise _missing('ray') from error
        options = dict(settings.launcher_options)
        ray.init(
            address=options.pop('address', None),
            ignore_reinit_error=True,
            log_to_driver=False,
            include_dashboard=False,
        )
        self.ray = ray
        gpus = settings.gpus if ray.cluster_resources().get('GPU') else 0
        self.remote = ray.remote(call).options(
            **{'num_gpus': gpus, 'num_cpus': 1, 'max_retries': 0, **options}
        )

    def start(self, words: Sequence[str], output: Path) -> Handle:
        """Hand a job to the cluster."""
        return _Task(self.ray, self.remote.remote(list(words), str(output)))


class _Task:
    def __init__(self, ray: Any, reference: Any) -> None:
        self.ray, self.reference = ray, reference

    def poll(self) -> int | None:
        ready, _ = self.ray.wait([self.reference], timeout=0)
        if not ready:
            return None
        try:
            return self.ray.get(self.reference)
        except self.ray.exceptions.RayError:
            return 1

    def stop(self) -> None:
        self.ray.cancel(self.reference, force=True)


def make_launcher(settings: Settings) -> Local | Submitit | Ray:
    """The launcher that the settings name.

    Raises:
        ConfigError: its package is not installed.
    """
    if settings.launcher == 'submitit':
        return Submitit(settings)
    return Ray(settings) if settings.launcher == 'ray' else Local()


def _missing(package: str) -> ConfigError:
    return ConfigError(
        f'--launcher {package} needs a package that is not installed: pip install {package}.'
    )
