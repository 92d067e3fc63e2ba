"""The cache of decoded images: what comes out is what was decoded, whoever wrote it, and when."""

import multiprocessing
import os
import signal
import time

import cv2
import numpy as np
import pytest
from multiband import write_tiff

from vitmm.datasets import LoadImage
from vitmm.datasets.image_cache import ImageCache


def write(path, seed=0, size=(40, 60)):
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    cv2.imwrite(str(path), image)
    return path


def load(path, cache, **options):
    return LoadImage(cache=cache and str(cache), **options).transform({'img_path': str(path)})


def no_decoding(monkeypatch):
    def refuse(*args):
        raise AssertionError('decoded')

    monkeypatch.setattr('vitmm.datasets.loading.decode', refuse)


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_the_second_time_nothing_is_decoded(suffix, tmp_path, monkeypatch):
    path, cache = write(tmp_path / f'a.{suffix}'), tmp_path / 'cache'
    first = load(path, cache)
    expected = load(path, None)
    no_decoding(monkeypatch)
    second = load(path, cache)
    for found in (first, second):
        assert np.array_equal(found.pop('img'), expected['img'])
    assert first == second
    second_again = load(path, cache)
    second_again['img'][:] = 0  # what augmentation does in place stays out of the cache
    assert np.array_equal(load(path, cache)['img'], expected['img'])


def test_bands_of_floats(tmp_path, monkeypatch):
    image = np.random.default_rng(0).integers(0, 4096, (40, 60, 5)).astype(np.uint16)
    write_tiff(tmp_path / 'a.tif', image)
    options = {'channels': 5, 'max_value': 4095}
    first = load(tmp_path / 'a.tif', tmp_path / 'cache', **options)['img']
    no_decoding(monkeypatch)
    second = load(tmp_path / 'a.tif', tmp_path / 'cache', **options)['img']
    assert first.dtype == second.dtype == np.float32 and np.array_equal(first, second)


def test_each_scale_is_kept_by_itself(tmp_path, monkeypatch):
    path, cache = write(tmp_path / 'a.jpg', size=(400, 600)), tmp_path / 'cache'
    sizes = [(600, 400), (300, 200), (100, 66)]
    expected = [load(path, None, reduce=True)['img'].enough_for(*size)[0] for size in sizes]
    for size in sizes:
        load(path, cache, reduce=True)['img'].enough_for(*size)
    assert len(list(cache.glob('*.npy'))) == 3
    no_decoding(monkeypatch)
    for size, pixels in zip(sizes, expected, strict=True):
        assert np.array_equal(load(path, cache, reduce=True)['img'].enough_for(*size)[0], pixels)


def test_a_file_that_changed_is_decoded_again(tmp_path):
    path, cache = write(tmp_path / 'a.png'), tmp_path / 'cache'
    old = load(path, cache)['img']
    write(path, seed=1)
    os.utime(path, ns=(1, 1))
    new = load(path, cache)['img']
    assert not np.array_equal(old, new) and np.array_equal(new, load(path, None)['img'])


@pytest.mark.parametrize('content', [b'', b'\x93NUMPY', b'no image'])
def test_an_entry_that_was_cut_is_written_again(content, tmp_path, monkeypatch):
    path, cache = write(tmp_path / 'a.png'), tmp_path / 'cache'
    expected = load(path, cache)['img']
    (entry,) = cache.glob('*.npy')
    entry.write_bytes(content)
    assert np.array_equal(load(path, cache)['img'], expected)
    no_decoding(monkeypatch)
    assert np.array_equal(load(path, cache)['img'], expected)


def test_it_grows_to_its_limit(tmp_path, capsys):
    cache = tmp_path / 'cache'
    paths = [write(tmp_path / f'{i}.png', seed=i) for i in range(8)]
    size = 40 * 60 * 3
    for _ in range(2):  # as two workers, and two epochs
        for path in paths:
            found = load(path, cache, cache_limit=5.5 * size / 2**30)['img']
            assert np.array_equal(found, load(path, None)['img'])
    assert len(list(cache.glob('*.npy'))) == 5
    assert capsys.readouterr().out.count('is full') == 1


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / 'cache').write_text('a file')
    path = write(tmp_path / 'a.png')
    found = load(path, tmp_path / 'cache')['img']
    assert np.array_equal(found, load(path, None)['img'])
    assert 'takes no images' in capsys.readouterr().out


def test_a_full_disk_keeps_no_parts(tmp_path, monkeypatch):
    def save(file, image):
        file.write(b'the beginning')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'save', save)
    load(write(tmp_path / 'a.png'), tmp_path / 'cache')
    assert sorted(file.name for file in (tmp_path / 'cache').rglob('*') if file.is_file()) == [
        '.lock',
        'used',
    ]


def fill(folder, number, seed):
    cache = ImageCache(folder, 1)
    for i in np.random.default_rng(seed).permutation(number):
        image = np.full((100, 100, 3), i, np.uint8)
        assert np.array_equal(cache.get(__file__, (int(i),), image.copy), image)


def fill_and_wait(folder, number, seed):
    fill(folder, number, seed)
    time.sleep(60)  # to be killed, be it that all was written in no time


def test_many_write_at_once_and_some_are_killed(tmp_path):
    fork = multiprocessing.get_context('fork')
    workers = [
        fork.Process(target=fill if seed else fill_and_wait, args=(tmp_path, 150, seed))
        for seed in range(4)
    ]
    for worker in workers:
        worker.start()
    time.sleep(0.05)
    os.kill(workers[0].pid, signal.SIGKILL)
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [-signal.SIGKILL, 0, 0, 0]
    entries = list(tmp_path.glob('*.npy'))
    assert len(entries) == 150
    assert sorted(np.load(entry)[0, 0, 0] for entry in entries) == list(range(150))
    used = int((tmp_path / 'used').read_bytes())
    assert 150 * 30000 <= used <= 4 * 150 * 30000
