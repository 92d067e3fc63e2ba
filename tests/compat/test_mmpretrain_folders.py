"""Hidden folders and files are no classes and no images, for mmpretrain as for vitmm."""

from mmpretrain.datasets import CustomDataset
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
