"""Archives of a few images, packed as their makers pack them."""

import hashlib
import pickle

import numpy as np
import pytest
import torchvision
from PIL import Image
from support import load_tool

from vitmm.datasets import DataError, read_classes
from vitmm.datasets.archives import READERS, write_archive

CIFAR10 = torchvision.datasets.CIFAR10
NAMES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """CIFAR-10 of 20 and 10 images in its own layout; torchvision is told their check sums."""
    root = tmp_path / 'download' / CIFAR10.base_folder
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def put(name, content):
        data = pickle.dumps(content)
        (root / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    def batch(labels):
        data = rng.integers(0, 256, (len(labels), 3 * 32 * 32), np.uint8)
        return {'data': data, 'labels': labels}

    first, second, test = batch(list(range(10))), batch(list(range(10))[::-1]), batch([*range(10)])
    lists = [put('data_batch_1', first), put('data_batch_2', second)]
    monkeypatch.setattr(CIFAR10, 'train_list', lists)
    monkeypatch.setattr(CIFAR10, 'test_list', [put('test_batch', test)])
    meta = put('batches.meta', {'label_names': NAMES})
    monkeypatch.setattr(CIFAR10, 'meta', dict(filename=meta[0], key='label_names', md5=meta[1]))
    return tmp_path / 'download', first, test


def test_cifar10_becomes_class_folders(cifar, tmp_path):
    source, first, test = cifar
    out = write_archive('cifar10', source, tmp_path / 'cifar10')
    for split, count in (('train', 2), ('val', 1)):
        config = {'type': 'CustomDataset', 'data_root': str(out), 'data_prefix': split}
        assert read_classes(config) == tuple(NAMES)  # in the order of the labels
        assert all(len(list((out / split / name).glob('*.png'))) == count for name in NAMES)
    for split, batch in (('train', first), ('val', test)):
        for row, label in zip(batch['data'], batch['labels'], strict=True):
            found = np.asarray(Image.open(out / split / NAMES[label] / '00000.png'))
            assert np.array_equal(found, row.reshape(3, 32, 32).transpose(1, 2, 0))
    assert write_archive('cifar10', source, out) == out  # once
    with pytest.raises(DataError, match='holds another set'):
        write_archive('cifar100', source, out)


def test_a_broken_archive_is_told_of_and_leaves_nothing(cifar, tmp_path):
    source, *_ = cifar
    with (source / CIFAR10.base_folder / 'test_batch').open('ab') as file:
        file.write(b'!')
    with pytest.raises(DataError, match=r'cifar10 cannot be read from .*download'):
        write_archive('cifar10', source, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    with pytest.raises(DataError, match='no such folder'):
        write_archive('cifar10', tmp_path / 'nowhere', tmp_path / 'out')


def test_classes_out_of_order_are_numbered(tmp_path, monkeypatch):
    class Digits(torchvision.datasets.VisionDataset):
        classes = ['zero', 'one', 'T-shirt/top']

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return Image.new('L', (4, 4), index), index

    monkeypatch.setitem(READERS, 'mnist', lambda root, split: Digits(root))
    out = write_archive('mnist', tmp_path, tmp_path / 'out')
    config = {'type': 'CustomDataset', 'data_root': str(out), 'data_prefix': 'train'}
    assert read_classes(config) == ('0_zero', '1_one', '2_T-shirt_top')


def test_the_tool(cifar, tmp_path, monkeypatch, capsys):
    module = load_tool('prepare_data')
    assert set(module.ARCHIVES) == set(READERS)
    arguments = ['prepare_data.py', 'cifar10', '--out', str(tmp_path / 'out'), '--from']
    monkeypatch.setattr('sys.argv', [*arguments, str(cifar[0])])
    assert module.main() == 0 and 'out is ready' in capsys.readouterr().out
    monkeypatch.setattr('sys.argv', [*arguments, str(tmp_path / 'nowhere')])
    assert module.main() == 1 and 'error: --from' in capsys.readouterr().err
