"""The process of one job: python -m vitmm.apis.compare.job FILE"""

import ast
import json
import os
import sys
import threading
from pathlib import Path

from vitmm.apis.cli import run
from vitmm.apis.compare.jobs import plain
from vitmm.whole_files import write_whole


def work(told: dict) -> None:
    """Do what ``Job.write`` told, and write the result when all is done."""
    from mmengine.dist import is_main_process

    told['options'] = ast.literal_eval(told['options'])
    kind, folder = told['kind'], Path(told['folder'])
    if kind == 'train':
        result = _train(told, folder)
    elif kind == 'test':
        from vitmm.apis.compare.testing import test_run

        result = test_run(told, folder)
    elif kind == 'measure':
        from vitmm.apis.compare.measure import measure

        result = measure(told, folder)
    else:
        from vitmm.apis.compare.probe import probe

        result = probe(told, folder)
    if is_main_process():
        write_whole(Path(told['result']), json.dumps(plain(result), indent=1))


def _train(told: dict, folder: Path) -> dict:
    from mmengine.runner import EpochBasedTrainLoop

    from vitmm.apis.compare.logs import read_run
    from vitmm.apis.train import train

    runner = train(
        told['recipe'],
        work_dir=folder,
        resume=True,
        amp=told['amp'],
        data=told['data'],
        launcher=told['launcher'],
        options=told['options'],
    )
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    per_epoch = len(runner.train_dataloader) if by_epoch else None
    return read_run(folder, runner.iter, per_epoch)


def end_with_parent() -> None:
    """End this process when the one that holds the other end of its standard input has ended.

    A comparison that was killed must not leave a training behind, beside which the next one would
    train in the same folder.
    """

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == '__main__':
    if '--watch' in sys.argv[2:]:
        end_with_parent()
    run(lambda: work(json.loads(Path(sys.argv[1]).read_text())))
