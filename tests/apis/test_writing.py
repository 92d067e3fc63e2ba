"""What cannot be written to is named, before anything is computed, and nothing is left of it."""

import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from predictions import config_of
from support import CONFIGS, SMALL_CLASSIFIER

from vitmm.apis.cli import user_message
from vitmm.apis.compare.compare import compare
from vitmm.apis.export import export
from vitmm.apis.inference import infer
from vitmm.apis.publish import publish
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.datasets import write_shapes
from vitmm.engine.hooks import atomic_checkpoint
from vitmm.evaluation.dump_results import DumpResults
from vitmm.inference.files import Growing
from vitmm.inference.pictures import Clip
from vitmm.whole_files import write_whole
from vitmm.writing import WriteError, check_writable, writing

RECIPE = CONFIGS / 'cls/vit_linear.py'


@pytest.fixture
def taken(tmp_path):
    """A file where a folder is wanted."""
    path = tmp_path / 'taken'
    path.write_text('mine')
    yield path
    assert path.read_text() == 'mine' and sorted(os.listdir(tmp_path)) == ['taken']


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, 'No space left on device')


WRITERS = {
    'train': lambda place, stored: train(RECIPE, work_dir=place),
    'test': lambda place, stored: evaluate(config_of(stored), stored, work_dir=place),
    'test --out': lambda place, stored: evaluate(
        config_of(stored), stored, work_dir=place.parent, out=place / 'a.pkl'
    ),
    'test --show-dir': lambda place, stored: evaluate(
        config_of(stored), stored, work_dir=place.parent, show_dir=place
    ),
    'infer': lambda place, stored: infer(stored, CONFIGS.parent / 'docs/images', place),
    'export': lambda place, stored: export(stored, place / 'a.pt2'),
    'publish': lambda place, stored: publish(stored, place / 'a'),
    'compare': lambda place, stored: compare(
        RECIPE,
        ['test_resnet'],
        mode='measure',
        work_dir=place,
        options={'prepare_data': None, 'data_root': '/nowhere'},
    ),
}


@pytest.mark.parametrize('what', WRITERS)
def test_a_file_is_in_the_way(what, taken, trained, tiny_shapes, monkeypatch):
    stored = trained('cls')
    if what == 'compare':
        monkeypatch.setattr('vitmm.apis.compare.compare._resolve_all', None)
    with pytest.raises(WriteError, match=f'{taken} is a file; name another folder'):
        WRITERS[what](taken if what == 'publish' else taken / 'b', stored)


@pytest.mark.skipif(not Path('/proc/self').is_dir(), reason='Linux only')
def test_a_folder_that_takes_nothing():
    with pytest.raises(WriteError, match='--out /proc/x/y: nothing can be put into /proc: '):
        check_writable('/proc/x/y', '--out')


def test_what_can_be_written_to_is_not_touched(tmp_path):
    check_writable(tmp_path / 'a/b', 'work dir')
    assert not list(tmp_path.iterdir())
    (tmp_path / 'link').symlink_to('nowhere')
    with pytest.raises(WriteError, match='link is a link to nothing'):
        check_writable(tmp_path / 'link/a', 'work dir')


def test_the_disk_fills_while_it_trains(tiny_options, tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_checkpoint, 'write_whole', full)
    options = {**tiny_options, **SMALL_CLASSIFIER, 'default_hooks.checkpoint.interval': 1}
    message = f'work dir {tmp_path} cannot be written: No space .* make room there.* --resume'
    with pytest.raises(WriteError, match=message):
        train(RECIPE, work_dir=tmp_path, options=options)


def test_a_full_disk_has_a_file_and_nothing_is_left(tmp_path, monkeypatch):
    grown = Growing(tmp_path / 'b', 'head')
    grown.begin().close()
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left') as caught:
        write_whole(tmp_path / 'a', 'text')
    assert caught.value.filename == str(tmp_path / 'a')
    assert user_message(caught.value).startswith(f'{tmp_path / "a"} cannot be written: No space')
    with Path('/dev/full').open('w') as grown.file, pytest.raises(OSError, match='No space left'):
        grown.close('tail')
    monkeypatch.setattr('vitmm.evaluation.dump_results.dump', full)
    with pytest.raises(OSError, match='No space left'):
        DumpResults(str(tmp_path / 'a.pkl')).compute_metrics([])
    assert not list(tmp_path.iterdir())


def test_a_video_that_lacks_frames_is_no_result(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 255, (20, 96, 128, 3), dtype=np.uint8)
    clip = Clip(tmp_path / 'a.mp4', 'a.avi', 25.0, (96, 128))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # as on a full disk
    try:
        for picture in noise:
            clip.add(picture)
        with (
            pytest.raises(WriteError, match=r'a\.mp4 cannot be written: not all of its frames'),
            writing(('--out', tmp_path / 'a.mp4')),
        ):
            clip.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_video_that_is_stopped_is_kept(tmp_path):
    clip = Clip(tmp_path / 'a.mp4', 'a.avi', 25.0, (96, 128))
    for _ in range(3):
        clip.add(np.zeros((96, 128, 3), np.uint8))
    clip.count -= 1  # as where Ctrl-C comes before the last is counted
    clip.close()
    assert [path.name for path in tmp_path.iterdir()] == ['a.mp4']


def test_a_full_disk_under_a_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr('vitmm.datasets.shapes.draw_scene', full)
    with pytest.raises(WriteError, match=f'set in {tmp_path} cannot be written: No space left'):
        write_shapes(tmp_path / 'set', num_train=1, num_val=0, num_cls_train=0, num_cls_val=0)
    assert [path.name for path in tmp_path.iterdir()] == ['.set.lock']


def test_other_errors_pass():
    with pytest.raises(FileNotFoundError), writing(('--out', '/tmp/a')):
        Path('/nowhere/b').read_text()
    assert user_message(FileNotFoundError(errno.ENOENT, 'No such file', 'a')) is None


def test_another_disk_is_not_called_the_work_dirs():
    def fail(kind, path):
        with writing(('work dir', 'work_dirs/a')):
            raise OSError(kind, os.strerror(kind), path)

    with pytest.raises(WriteError, match=r'^/tmp/cache/a\.py cannot be written: No space left on'):
        fail(errno.ENOSPC, '/tmp/cache/a.py')
    with pytest.raises(
        WriteError, match=r'^work dir work_dirs/a cannot be written: No space .*a/b'
    ):
        fail(errno.ENOSPC, 'work_dirs/a/b')
    with pytest.raises(OSError, match=r'error: .*1\.jpg') as caught:
        fail(errno.EIO, '/data/1.jpg')
    assert not isinstance(caught.value, WriteError)


AS_ANOTHER = """
import os, sys
from vitmm.writing import check_writable
os.seteuid(65534)
check_writable(sys.argv[1], '--out')
"""


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be somebody else')
def test_a_folder_that_this_user_may_not_even_look_into(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / 'there').mkdir()
    command = [sys.executable, '-c', AS_ANOTHER, str(tmp_path / 'there' / 'x')]
    done = subprocess.run(command, capture_output=True, text=True)
    *_, last = done.stderr.strip().splitlines()
    assert re.search(r'WriteError: --out .*/there/x: nothing can be put into .*Permission', last)


def test_what_was_to_be_read_is_no_failure_to_write(tmp_path):
    with pytest.raises(FileNotFoundError), writing(('work dir', tmp_path)):
        (tmp_path / 'annotations.json').read_text()
