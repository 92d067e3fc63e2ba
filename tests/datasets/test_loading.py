"""Files that load, and do not fit what is said of them."""

import numpy as np
import pytest
from PIL import Image

from vitmm.datasets import CheckedLoad, DataError, LoadImage


def load(tmp_path, mask, name='mask.png', zero=False):
    Image.fromarray(mask).save(tmp_path / name)
    loading = CheckedLoad(dict(type='mmseg.LoadAnnotations'), num_classes=7)
    results = {
        'seg_map_path': str(tmp_path / name),
        'img': np.zeros((4, 5, 3), np.uint8),
        'ori_shape': (4, 5),
        'reduce_zero_label': zero,
        'seg_fields': [],
    }
    return loading.transform(results)['gt_seg_map']


@pytest.mark.parametrize('zero', [False, True])
@pytest.mark.parametrize(
    'kind, value, name', [('uint16', 1281, 'a.png'), ('int32', -255, 'a.tif'),
                          ('float32', 1.5, 'a.tif')],
)  # fmt: skip
def test_values_beyond_uint8_end_a_training(kind, value, name, zero, tmp_path):
    mask = np.ones((4, 5), kind)
    mask[1, :3] = value
    with pytest.raises(DataError, match=rf'{name} has the value {value} \(3 pixels\); classes'):
        load(tmp_path, mask, name, zero)


def test_masks_of_16_bits_with_right_values_are_loaded(tmp_path):
    mask = np.arange(20, dtype=np.uint16).reshape(4, 5) % 7
    mask[0, 0] = 255
    assert np.array_equal(load(tmp_path, mask), mask)


def test_boxes_of_another_size_end_a_training(tmp_path):
    """Images that were halved after somebody had drawn boxes on them, and turned ones."""
    Image.new('RGB', (40, 30)).save(tmp_path / 'a.jpg')
    said = dict(img_path=str(tmp_path / 'a.jpg'), height=60, width=80)
    inside, beyond = dict(bbox=[0, 0, 40.5, 30]), dict(bbox=[0, 0, 42.0, 30])
    for options in (dict(), dict(reduce=True)):
        load = LoadImage(**options).transform
        for fine in ([], [inside]):
            assert load({**said, 'instances': fine})['img_shape'] == (30, 40)
        assert load({**said, 'height': 30, 'width': 40, 'instances': [beyond]})  # clipped later
        assert load({**said, 'height': None, 'instances': [beyond]})
        with pytest.raises(DataError, match=r'a.jpg is 40 x 30, but 80 x 60 .* \(42, 30\): was'):
            load({**said, 'instances': [inside, beyond]})
