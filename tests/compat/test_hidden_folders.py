"""Hidden folders and files are no classes and no images, for OpenMMLab as for vitmm."""

import pytest
from mmpretrain.datasets import CustomDataset, custom
from mmseg.registry import DATASETS
from PIL import Image

from vitmm.datasets import read_classes
from vitmm.datasets.inspection import inspect


def test_hidden_folders_and_files(tmp_path):
    shown = ['cat/1.png', 'cat/kittens/2.png', 'dog/3.png']
    hidden = ['.ipynb_checkpoints/4.png', 'cat/.thumbs/5.png', 'dog/.trash/deep/6.png']
    for name in shown + hidden:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (9, 9)).save(tmp_path / name)
    (tmp_path / 'dog/._3.png').write_bytes(b'what macOS keeps beside a file')
    cfg = {'type': 'mmpretrain.CustomDataset', 'data_root': str(tmp_path)}
    for labelled in (True, False):
        dataset = CustomDataset(data_root=str(tmp_path), with_label=labelled)
        found = [one['img_path'] for one in map(dataset.get_data_info, range(len(dataset)))]
        assert found == [str(tmp_path / name) for name in shown]
        report = inspect({**cfg, 'with_label': labelled})
        assert report.images == 3 and not report.faults
    labelled = CustomDataset(data_root=str(tmp_path))
    assert [labelled.get_data_info(n)['gt_label'] for n in range(3)] == [0, 0, 1]
    assert read_classes(cfg) == labelled.metainfo['classes'] == ('cat', 'dog')


def test_the_samples_are_mmpretrains_own(tmp_path):
    names = [
        'b/10.png',
        'b/9.PNG',
        'b/x/1.png',
        'b/x-/1.png',
        'b/note.txt',
        'a/é 1.jpg',
        'b/.a.png',
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'none').mkdir()
    (tmp_path / 'c').symlink_to(tmp_path / 'b', target_is_directory=True)
    (tmp_path / 'a/linked.png').symlink_to(tmp_path / 'b/10.png')
    (tmp_path / 'a/more').symlink_to(tmp_path / 'b/x', target_is_directory=True)
    (tmp_path / 'a/broken.png').symlink_to(tmp_path / 'nowhere')
    labels = {name: number for number, name in enumerate(('a', 'b', 'c', 'none'))}
    dataset = CustomDataset(data_root=str(tmp_path), lazy_init=True)
    ours = custom.get_samples(str(tmp_path), labels, dataset.is_valid_file)
    theirs = custom.get_samples.__wrapped__(str(tmp_path), labels, dataset.is_valid_file)
    assert ours == theirs and len(ours[0]) == 11 and ours[1] == {'none'}
    ours = custom.get_samples(str(tmp_path), None, dataset.is_valid_file)
    assert ours == custom.get_samples.__wrapped__(str(tmp_path), None, dataset.is_valid_file)


@pytest.mark.parametrize(
    ('kind', 'maps'), [('BaseSegDataset', 'seg_map_path'), ('NYUDataset', 'depth_map_path')]
)
def test_hidden_folders_of_images_with_maps(kind, maps, tmp_path):
    for name in ('a/room_1', 'a/.ipynb_checkpoints/room_2', '.trash/room_3', '.room_4', 'room_5'):
        for folder, suffix in (('images', '.jpg'), ('maps', '.png')):
            path = tmp_path / folder / f'{name}{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new('RGB' if suffix == '.jpg' else 'L', (9, 9)).save(path)
    (tmp_path / 'classes.txt').write_text('floor\n')
    prefix = {'img_path': 'images', maps: 'maps'}
    cfg = {'type': f'mmseg.{kind}', 'data_root': str(tmp_path), 'data_prefix': prefix}
    dataset = DATASETS.build({**cfg, 'img_suffix': '.jpg', 'pipeline': []})
    found = [one['img_path'] for one in map(dataset.get_data_info, range(len(dataset)))]
    assert found == [str(tmp_path / f'images/{name}.jpg') for name in ('a/room_1', 'room_5')]
    if kind == 'BaseSegDataset':
        report = inspect({**cfg, 'img_suffix': '.jpg'})
        assert report.images == 2 and not report.faults
