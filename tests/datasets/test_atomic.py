import json
import multiprocessing
import os
import signal
import time

import pytest

from vitmm.datasets import DataError, write_shapes
from vitmm.datasets.atomic import write_once

COUNTS = {'num_train': 3, 'num_val': 2, 'num_cls_train': 6, 'num_cls_val': 6}
PROCESSES = multiprocessing.get_context('forkserver')  # imports once, then starts fast
PROCESSES.set_forkserver_preload(['vitmm.datasets'])


def run(root, seen):
    write_shapes(root, **COUNTS)
    seen.put((len(os.listdir(os.path.join(root, 'JPEGImages'))), os.stat(root).st_ino))


def write_slowly(root, started):
    def write(folder):
        (folder / 'half').write_text('half of it')
        started.set()
        time.sleep(60)

    write_once(root, 'record.json', {'version': 1}, write)


def test_processes_at_the_same_time_share_one_set(tmp_path):
    root, seen = tmp_path / 'shapes', PROCESSES.Queue()
    workers = [PROCESSES.Process(target=run, args=(str(root), seen)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found = {seen.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert found == {(5, os.stat(root).st_ino)}
    assert sorted(os.listdir(tmp_path)) == ['.shapes.lock', 'shapes']


def test_a_killed_writer_leaves_nothing_and_the_next_one_starts_anew(tmp_path):
    root, started = tmp_path / 'set', PROCESSES.Event()
    writer = PROCESSES.Process(target=write_slowly, args=(root, started))
    writer.start()
    assert started.wait(60)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert not root.exists()

    write_once(root, 'record.json', {'version': 1}, lambda folder: (folder / 'whole').touch())
    assert sorted(os.listdir(root)) == ['record.json', 'whole']
    assert sorted(os.listdir(tmp_path)) == ['.set.lock', 'set']


def test_an_error_in_the_middle_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / 'half').touch()
        raise OSError('No space left on device')

    with pytest.raises(OSError, match='No space left'):
        write_once(tmp_path / 'set', 'record.json', {}, fail)
    assert os.listdir(tmp_path) == ['.set.lock']


def test_a_set_that_is_there_is_used_as_it_is(tmp_path):
    root = write_shapes(tmp_path / 'shapes', **COUNTS)
    before = os.stat(root).st_mtime_ns
    os.chmod(tmp_path, 0o500)  # nor is anything written beside it
    try:
        assert write_shapes(root, **COUNTS) == root
    finally:
        os.chmod(tmp_path, 0o700)
    assert os.stat(root).st_mtime_ns == before


def test_another_set_is_not_overwritten(tmp_path):
    root = write_shapes(tmp_path / 'shapes', **COUNTS)
    with pytest.raises(DataError, match=r'num_val: 2 there, 5 asked for.*delete the folder'):
        write_shapes(root, **{**COUNTS, 'num_val': 5})
    assert json.loads((root / 'shapes.json').read_text())['num_val'] == 2


def test_a_users_files_are_not_touched(tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/photo.jpg').touch()
    with pytest.raises(DataError, match='not empty'):
        write_shapes(tmp_path / 'mine', **COUNTS)
    assert os.listdir(tmp_path / 'mine') == ['photo.jpg']
    with pytest.raises(DataError, match='is a file'):
        write_shapes(tmp_path / 'mine/photo.jpg', **COUNTS)


def test_negative_counts(tmp_path):
    with pytest.raises(DataError, match='0 or more'):
        write_shapes(tmp_path / 'shapes', num_val=-1)


def test_an_empty_folder_and_a_link_will_do(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'disk')
    write_once(tmp_path / 'link', 'record.json', {}, lambda folder: (folder / 'a').touch())
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'disk/a').exists()
