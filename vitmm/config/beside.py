"""A work dir keeps the config of the training in it."""

from pathlib import Path

from mmengine.config import Config


def beside_training(config: Config, word: str) -> Config:
    """The config under a name that is free in its work dir, where a training has its own.

    The Runner writes its config into the work dir, and that of the training there is worth more.

    Args:
        config: resolved, with a ``work_dir``.
        word: what the other name ends in.
    """
    dump = Path(config.work_dir) / Path(config.filename).name
    if not dump.exists():
        return config
    name = str(dump.with_name(f'{dump.stem}_{word}.py'))
    return Config(config.to_dict(), cfg_text=config.text or '\n', filename=name)
