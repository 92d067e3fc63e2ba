"""Run another project's script with what ``import vitmm`` mends: python -m vitmm SCRIPT ..."""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path


def find_script(name: str) -> Path:
    """The script of that name: a file, or one that an installed package brings.

    Args:
        name: a path; ``mmdet/tools/test.py`` is also what the installed mmdet keeps under that
            name (OpenMMLab's wheels carry their tools in a folder ``.mim``); a repository's name
            stands for its package's.

    Raises:
        FileNotFoundError: there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    package, *inside = path.parts
    package = {'mmsegmentation': 'mmseg', 'mmdetection': 'mmdet'}.get(package, package)
    spec = find_spec(package) if package.isidentifier() and inside else None
    for folder in (spec and spec.submodule_search_locations) or ():
        kept = Path(folder, '.mim', *inside)
        if kept.is_file():
            return kept
    raise FileNotFoundError(f'no script {name}, and no installed package brings one of that name')


def keep_trainings_config(word: str) -> None:
    """Let Runners of a script that does not train write their configs beside that of the training.

    Args:
        word: what the names of theirs end in (``vit_retinanet_test.py``).
    """
    from mmengine.runner import Runner  # such scripts import it themselves

    dump = Runner.dump_config

    def dump_beside(self: Runner) -> None:
        if self.cfg.filename and self.cfg.get('work_dir'):
            from vitmm.config.beside import beside_training

            self.cfg = beside_training(self.cfg, word)
        dump(self)

    Runner.dump_config = dump_beside


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] in ('-h', '--help'):
        sys.exit(
            'usage: python -m vitmm SCRIPT [ARG ...]\n\nRun a script of mmdet, mmsegmentation or '
            'mmpretrain with mmcv-lite and on configs and checkpoints of vitmm:\n'
            'python -m vitmm mmdet/tools/test.py CONFIG CHECKPOINT'
        )
    try:
        script = find_script(sys.argv[1])
    except FileNotFoundError as error:
        sys.exit(f'error: {error}')
    sys.argv = [str(script), *sys.argv[2:]]
    if script.stem != 'train':
        keep_trainings_config(script.stem)
    runpy.run_path(str(script), run_name='__main__')


if __name__ == '__main__':
    main()
