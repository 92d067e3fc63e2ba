"""Batches of one size: every image once, and the figures of single images."""

from collections import Counter

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler
from mmengine.dist import collect_results
from PIL import Image
from support import CONFIGS

from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.datasets import SameSizeBatchSampler

SIZES = [(40, 30), (30, 40), (40, 30), (50, 30), (40, 30), (30, 40), (40, 30)]


class Files:
    """Files of SIZES (width, height); the sixth says in its EXIF that it is to be turned."""

    def __init__(self, folder):
        self.paths = [str(folder / f'{i}.jpg') for i in range(len(SIZES))]
        for number, (path, size) in enumerate(zip(self.paths, SIZES, strict=True)):
            exif = Image.Exif()
            exif[0x0112] = 6 if number == 5 else 1
            Image.fromarray(np.zeros((*size[::-1], 3), np.uint8)).save(path, exif=exif)

    def __len__(self):
        return len(self.paths)

    def get_data_info(self, index):
        return {'img_path': self.paths[index]}


@pytest.mark.parametrize(
    'drop_last, expected', [(False, [[0, 2], [4, 5], [6], [1], [3]]), (True, [[0, 2], [4, 5]])]
)
def test_batches(drop_last, expected, tmp_path):
    sampler = DefaultSampler(Files(tmp_path), shuffle=False)
    batches = SameSizeBatchSampler(sampler, 2, drop_last)
    assert list(batches) == expected and len(batches) == len(expected)


@pytest.mark.parametrize('world', [2, 3, 5, 9])
@pytest.mark.parametrize('size', [1, 2, 4])
def test_processes_together_have_every_image_once(world, size, tmp_path, monkeypatch):
    files, parts = Files(tmp_path), []
    for rank in range(world):
        monkeypatch.setattr(
            'mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, world)
        )
        batches = SameSizeBatchSampler(DefaultSampler(files, shuffle=False), size)
        parts.append([index for batch in batches for index in batch])
        assert len(batches) == len(list(batches))
    # As MMEngine gathers results: in turn, and no more than there are.
    monkeypatch.setattr('mmengine.dist.dist.get_dist_info', lambda *_: (0, world))
    monkeypatch.setattr('mmengine.dist.dist.all_gather_object', lambda *_: parts)
    gathered = collect_results(parts[0], len(files), device='gpu')
    assert sorted(gathered) == list(range(len(files)))


def test_a_broken_file_is_a_batch_of_its_own(tmp_path):
    files = Files(tmp_path)
    for number in (0, 4):
        (tmp_path / f'{number}.jpg').write_bytes(b'\xff\xd8\xffnone')
    batches = list(SameSizeBatchSampler(DefaultSampler(files, shuffle=False), 9))
    assert sorted(map(sorted, batches)) == [[0], [1], [2, 5, 6], [3], [4]]


def test_figures_are_those_of_single_images(tiny_options, tmp_path):
    options = {**tiny_options, 'val_dataloader.batch_size': 3}
    recipe = CONFIGS / 'seg' / 'vit_upernet.py'
    runner = train(recipe, work_dir=tmp_path, options=options)
    sizes = Counter(
        Image.open(runner.val_dataloader.dataset.get_data_info(i)['img_path']).size
        for i in range(len(runner.val_dataloader.dataset))
    )
    assert len(runner.val_dataloader) == sum(-(-count // 3) for count in sizes.values())
    last = (tmp_path / 'last_checkpoint').read_text()
    figures = [
        evaluate(
            tmp_path / recipe.name,
            last,
            work_dir=tmp_path / f'{size}',
            options={'test_dataloader.batch_size': size},
        )
        for size in (1, 3)
    ]
    assert figures[0] == pytest.approx(figures[1], abs=0.02)  # mmseg rounds to 0.01
