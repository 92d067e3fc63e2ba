"""What MMEngine's JSON logs tell of a training: scores, learning curves, time, memory."""

from pathlib import Path

from vitmm.apis.scalars import broken, is_training, read_scalars, scores_of
from vitmm.errors import ConfigError


def read_run(
    folder: str | Path, iterations: int | None = None, per_epoch: int | None = None
) -> dict:
    """Read the logs of a work dir, those of interrupted and resumed runs as one.

    Args:
        folder: a work dir of ``tools/train.py``.
        iterations: trained, where that is known; else those up to the last line of the log, which
            MMEngine leaves out where it comes soon after the one before.
        per_epoch: iterations of an epoch, where validations are counted in epochs; else each is
            noted at the last line before it.

    Returns:
        ``scores``: the last validation's metrics by name. ``curve``: ``loss``, pairs of iteration
        and training loss; ``validations``, pairs of iteration and metrics. ``seconds``: of training
        iterations, loading included, validation and start not. ``memory``: peak on the GPU in MiB
        while training, None without one. ``iterations``: trained. ``broken``: what was NaN or
        infinite in the training to its last line, or None.

    Raises:
        ConfigError: there is no log.
    """
    folder = Path(folder)
    logs = sorted(folder.glob('*/vis_data/scalars.json'), key=lambda path: path.parent.parent.name)
    if not logs:
        raise ConfigError(
            f'{folder} holds no results (*/vis_data/scalars.json): it is no work dir of '
            'tools/train.py.'
        )
    training: dict[int, dict] = {}
    validations: dict[int, dict] = {}
    for log in logs:
        first, step = True, 0
        for entry in read_scalars(log)[0]:
            if is_training(entry):
                # By epochs or by iterations, MMEngine counts a training's steps in iterations.
                step = entry['step']
                if first:  # what a resumed run does again was lost
                    training = {s: e for s, e in training.items() if s < step}
                    validations = {s: e for s, e in validations.items() if s < step}
                    first = False
                training[step] = entry
            else:
                at = entry['step'] * per_epoch if per_epoch else step
                validations[at] = scores_of(entry)
    seconds, before = 0.0, 0
    for step, entry in sorted(training.items()):
        seconds += entry.get('time', 0) * (step - before)
        before = step
    if training and iterations and iterations > before:
        seconds += training[before].get('time', 0) * (iterations - before)
    curve = [(step, entry['loss']) for step, entry in sorted(training.items()) if 'loss' in entry]
    memories = [entry['memory'] for entry in training.values() if 'memory' in entry]
    found = sorted(validations.items())
    return {
        'scores': found[-1][1] if found else {},
        'curve': {'loss': curve, 'validations': found},
        'seconds': seconds,
        'memory': max(memories, default=None),
        'iterations': iterations or before,
        'broken': _broken([entry for _, entry in sorted(training.items())]),
    }


def _broken(training: list[dict]) -> str | None:
    """Not where it was a number again in the end."""
    name, steps = broken(training) or ('', [])
    if not name or steps[-1] != training[-1]['step']:
        return None
    return f'{name} was NaN or infinite in {len(steps)} of {len(training)} logged lines'
