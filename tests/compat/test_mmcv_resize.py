"""mmcv's resizing of many bands: each as if it were alone."""

import mmcv
import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from PIL import Image

from vitmm.compat import mmcv_resize
from vitmm.datasets import LoadImage
from vitmm.registry import TRANSFORMS

mmcv_resize.install()
SIZE = (33, 21)


def image(kind, *shape):
    return (np.random.default_rng(0).random(shape) * 255).astype(kind)


@pytest.mark.parametrize('kind', ['uint8', 'float32'])
@pytest.mark.parametrize('bands', [1, 2, 3, 4, 12])
def test_pillow(kind, bands):
    many = image(kind, 40, 60, bands)
    resized = mmcv.imresize(many, SIZE, interpolation='bicubic', backend='pillow')
    assert resized.shape == (21, 33, bands) and resized.dtype == kind
    for i in range(bands):
        alone = Image.fromarray(many[..., i].copy()).resize(SIZE, Image.Resampling.BICUBIC)
        assert np.array_equal(resized[..., i], np.array(alone))


@pytest.mark.parametrize('kind', ['uint8', 'float32'])
@pytest.mark.parametrize('shape', [(40, 60), *((40, 60, bands) for bands in (1, 2, 3, 4, 12))])
@pytest.mark.parametrize('how', ['bilinear', 'bicubic'])
@pytest.mark.parametrize('size', [SIZE, (150, 90), (60, 40)])
def test_torch_is_pillow(size, how, shape, kind):
    many = image(kind, *shape)
    for one in (many, many[:, ::-1], many[3:, 5:-4]):
        theirs = mmcv.imresize(np.ascontiguousarray(one), size, interpolation=how, backend='pillow')
        ours = mmcv.imresize(one, size, interpolation=how, backend='torch')
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == kind
        difference = np.abs(ours.astype(float) - theirs)
        # Of integers, torch's weights have fewer bits.
        assert difference.max() <= (2 if kind == 'uint8' else 0.01)
        assert kind != 'uint8' or (difference > 0).mean() < 0.03


@pytest.mark.parametrize('kind', ['uint8', 'float32'])
@pytest.mark.parametrize('bands', [4, 5, 12, 200])
@pytest.mark.parametrize('how', ['nearest', 'bilinear', 'bicubic', 'area', 'lanczos'])
def test_cv2(kind, bands, how):
    many = image(kind, 40, 60, bands)
    resized = mmcv.imresize(many, SIZE, interpolation=how)
    alone = [mmcv.imresize(many[..., i].copy(), SIZE, interpolation=how) for i in range(bands)]
    assert resized.dtype == kind
    # OpenCV's vector code rounds otherwise for other numbers of channels.
    assert np.abs(resized.astype(float) - np.dstack(alone)).max() <= (
        1 if kind == 'uint8' else 0.01
    )


@pytest.mark.parametrize('shape', [(40, 60), (40, 60, 3)])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_what_mmcv_does_well_is_left_to_it(shape, backend):
    stock = mmcv.imresize.__wrapped__
    usual = image('uint8', *shape)
    for options in ({}, {'return_scale': True}):
        ours = mmcv.imresize(usual, SIZE, backend=backend, **options)
        theirs = stock(usual, SIZE, backend=backend, **options)
        assert all(map(np.array_equal, ours, theirs))


def test_scales_and_rescaling():
    many = image('float32', 40, 60, 12)
    for backend in ('cv2', 'pillow'):
        _, *scales = mmcv.imresize(many, SIZE, return_scale=True, backend=backend)
        assert scales == [33 / 60, 21 / 40]
    assert mmcv.imrescale(many, 0.5, interpolation='area').shape == (20, 30, 12)
    mmcv_resize.install()
    assert not hasattr(mmcv.imresize.__wrapped__, '__wrapped__')  # once is enough


LONG = (133, 80)
KEEPING = {
    'mmcv': dict(type='Resize', scale=LONG, keep_ratio=True),
    'mmcv, by a factor': dict(type='Resize', scale_factor=0.0665, keep_ratio=True),
    'mmdet': dict(type='mmdet.Resize', scale=LONG, keep_ratio=True),
    'any': dict(
        type='RandomResize',
        resize_type='mmdet.Resize',
        scale=(1330, 800),
        ratio_range=(0.1, 0.1),
        keep_ratio=True,
    ),
    'one of several': dict(
        type='RandomChoiceResize', resize_type='mmdet.Resize', scales=[LONG], keep_ratio=True
    ),
    'mmseg': dict(type='mmseg.Resize', scale=LONG, keep_ratio=True),
    'mmseg, the shorter': dict(type='mmseg.ResizeShortestEdge', scale=80, max_size=133),
    'mmpretrain': dict(type='mmpretrain.ResizeEdge', scale=133, edge='long'),
}


@pytest.mark.parametrize('waits', [False, True])
@pytest.mark.parametrize('kind', ['bitmaps', 'polygons', 'none'])
@pytest.mark.parametrize('size', [(1, 2000), (2000, 1), (3, 2000)])
@pytest.mark.parametrize('how', KEEPING)
def test_no_side_is_resized_to_nothing(how, size, kind, waits, tmp_path):
    """Image, boxes and masks agree on a formula: the ratio, rounded, and 1 at least."""
    width, height = size
    factor = 133 / max(size)
    new = [max(1, int(side * factor + 0.5)) for side in size]
    pixels = image('uint8', height, width, 3)
    if waits:
        Image.fromarray(pixels).save(tmp_path / 'a.jpg')
        pixels = LoadImage(reduce=True).transform({'img_path': str(tmp_path / 'a.jpg')})['img']
    box = np.array([[width / 4, 0, width, height / 2]], np.float32)
    masks = {
        'bitmaps': BitmapMasks(np.ones((1, height, width), np.uint8), height, width),
        'polygons': PolygonMasks([[box[0, [0, 1, 2, 1, 2, 3]]]], height, width),
        'none': PolygonMasks([], height, width),
    }[kind]
    results = dict(img=pixels, img_shape=(height, width), gt_bboxes=HorizontalBoxes(box))
    results |= dict(gt_masks=masks, gt_seg_map=np.ones((height, width), np.uint8))
    results |= dict(seg_fields=['gt_seg_map'])
    if 'mmdet' not in str(KEEPING[how]):
        results['gt_bboxes'] = box
    resized = TRANSFORMS.build(KEEPING[how])(results)
    assert resized['img'].shape == (new[1], new[0], 3)
    assert tuple(resized['img_shape']) == (new[1], new[0])
    scales = new[0] / width, new[1] / height
    assert np.allclose(resized['scale_factor'], scales)
    if how == 'mmpretrain':
        return
    assert resized['gt_seg_map'].shape == (new[1], new[0])
    boxes = resized['gt_bboxes']
    boxes = boxes.numpy() if isinstance(boxes, HorizontalBoxes) else boxes
    assert np.allclose(boxes, box * np.tile(scales, 2))
    if isinstance(resized['gt_bboxes'], HorizontalBoxes):
        masks = resized['gt_masks']
        assert (masks.width, masks.height) == tuple(new)
        if kind == 'polygons':
            assert np.allclose(masks.masks[0][0], boxes[0, [0, 1, 2, 1, 2, 3]])
