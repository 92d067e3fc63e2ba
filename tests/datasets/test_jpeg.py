"""JPEGs decoded at reduced scale: everything but the decoding is that of the whole image."""

import copy
import io

import cv2
import mmcv
import numpy as np
import pytest
import torch
from PIL import Image
from support import CONFIGS

from vitmm.config import load_config, resolve
from vitmm.datasets import DataError, LoadImage
from vitmm.datasets.jpeg import SCALES, JpegImage, read_header

SIZES = [(640, 480), (501, 333), (333, 507), (129, 257)]
SMALL = [(160, 120), (161, 95), (95, 133), (131, 257)]
ORIENTATIONS = range(1, 9)


def ramp(width, height):
    """An image whose values are linear in x and in y: (H, W, 3), 10 to 245."""
    x = 10 + 235 * (np.arange(width) + 0.5) / width
    y = 10 + 235 * (np.arange(height) + 0.5) / height
    x, y = np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))
    return np.stack([x, y, (x + y) / 2], axis=2)


def photograph(width, height, seed=0):
    """Noise at every scale, as photographs have: (H, W, 3) uint8."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.normal(0, 1, (height // k + 2, width // k + 2, 3)), (width, height))
        * k**0.8
        for k in (1, 2, 4, 8, 32)
    ]
    image = sum(layers)
    return np.clip(128 + 50 * image / image.std(), 0, 255).astype(np.uint8)


def write(path, image, orientation=1, quality=95):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.round(image).astype(np.uint8))
    image.save(path, quality=quality, subsampling=0, exif=exif)
    return path


def load(path, reduce):
    return LoadImage(reduce=reduce).transform({'img_path': str(path)})['img']


@pytest.mark.parametrize('orientation', ORIENTATIONS)
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_the_shape_is_told_without_decoding(size, orientation, tmp_path, monkeypatch):
    path = write(tmp_path / 'a.jpg', ramp(*size), orientation)
    whole = LoadImage().transform({'img_path': str(path)})
    monkeypatch.setattr('vitmm.datasets.loading.decode', None)
    results = LoadImage(reduce=True).transform({'img_path': str(path)})
    assert isinstance(results['img'], JpegImage)
    assert results['img'].shape == whole['img'].shape
    assert results['ori_shape'] == results['img_shape'] == whole['ori_shape']


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('orientation', ORIENTATIONS)
@pytest.mark.parametrize('crop', [False, True])
def test_every_pixel_lies_where_it_would(crop, orientation, backend, tmp_path):
    """Linear resampling of a ramp is the ramp at the new pixels' places, wherever the box lies."""
    for number, size in enumerate(SMALL):
        path = write(tmp_path / f'{number}.jpg', ramp(*size), orientation, quality=100)
        image, whole = load(path, True), load(path, False)
        height, width = whole.shape[:2]
        top, left = (height // 7, width // 9) if crop else (0, 0)
        bottom, right = (height - height // 5, width - width // 11) if crop else (height, width)
        part = image[top:bottom, left:right, ...]
        for factor in (2, 3.3, 4.2):
            new = int((right - left) / factor), int((bottom - top) / factor)
            assert part.enough_for(*new)[0].shape < whole.shape
            resized = mmcv.imresize(part, new, backend=backend)
            x = left + (np.arange(new[0]) + 0.5) * (right - left) / new[0] - 0.5
            y = top + (np.arange(new[1]) + 0.5) * (bottom - top) / new[1] - 0.5
            expected = cv2.remap(
                whole.astype(np.float32),
                *np.meshgrid(x.astype(np.float32), y.astype(np.float32)),
                cv2.INTER_LINEAR,
            )
            error = (resized - expected)[2:-2, 2:-2]  # at the border, filters differ
            # The ramps rise by 0.9 to 2.5 a pixel of the file. To be off by half a pixel of the
            # smallest decoding, 1 to 2 of the file, would show in the mean of a third.
            third = error.shape[0] // 3, error.shape[1] // 3
            for part_of in (error[: third[0]], error[-third[0] :]):
                assert np.abs(part_of.mean(axis=(0, 1))).max() < 0.75
            for part_of in (error[:, : third[1]], error[:, -third[1] :]):
                assert np.abs(part_of.mean(axis=(0, 1))).max() < 0.75


@pytest.mark.parametrize(('backend', 'interpolation'), [('cv2', 'bilinear'), ('pillow', 'bicubic')])
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_photographs_differ_little_from_their_area_means(size, backend, interpolation, tmp_path):
    path = write(tmp_path / 'a.jpg', photograph(*size))
    whole = load(path, False)
    for factor in (2, 3.3, 6, 8.5):
        new = tuple(int(side / factor) for side in size)
        resize = {'interpolation': interpolation, 'backend': backend}
        ours = mmcv.imresize(load(path, True), new, **resize).astype(float)
        stock = mmcv.imresize(whole, new, **resize).astype(float)
        area = cv2.resize(whole, new, interpolation=cv2.INTER_AREA).astype(float)
        # Two good filters differ by a part of what a shift by half a pixel would make.
        shift = np.abs(area[:, 1:] - area[:, :-1]).mean() / 2
        assert np.abs(ours - area).mean() < shift / 2
        if backend == 'cv2':  # which takes 2 x 2 pixels of however many there are
            assert np.abs(ours - area).mean() < np.abs(stock - area).mean() + 1


@pytest.mark.parametrize('size', SIZES, ids=str)
def test_nothing_is_enlarged(size, tmp_path):
    path = write(tmp_path / 'a.jpg', ramp(*size))
    random = np.random.default_rng(0)
    for _ in range(100):
        width, height = (int(s) for s in random.integers(20, 1200, 2))
        pixels, (left, top, right, bottom) = load(path, True).enough_for(width, height)
        scale = round(size[0] / pixels.shape[1])
        assert scale in (1, *SCALES)
        assert scale == 1 or (right - left >= width and bottom - top >= height)
        larger = next((s for s in SCALES[::-1] if s > scale), None)  # is too small
        assert larger is None or size[0] < larger * width or size[1] < larger * height


def test_only_what_averages_takes_fewer_pixels(tmp_path):
    path = write(tmp_path / 'a.jpg', photograph(640, 480))
    for backend, interpolation in (('cv2', 'area'), ('cv2', 'nearest'), ('pillow', 'nearest')):
        how = {'interpolation': interpolation, 'backend': backend}
        ours = mmcv.imresize(load(path, True), (100, 75), **how)
        assert np.array_equal(ours, mmcv.imresize(load(path, False), (100, 75), **how))


@pytest.mark.parametrize(
    ('mode', 'suffix'),
    [('L', 'jpg'), ('CMYK', 'jpg'), ('RGB', 'png'), ('RGB', 'tif'), ('P', 'png')],
)
def test_all_else_is_loaded_as_it_was(mode, suffix, tmp_path):
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(photograph(64, 48)).convert(mode).save(path)
    assert isinstance(load(path, True), np.ndarray)
    assert np.array_equal(load(path, True), load(path, False))


@pytest.mark.parametrize('orientation', [3, 6])
def test_exif_that_cannot_be_read(orientation, tmp_path):
    path = write(tmp_path / 'a.jpg', photograph(64, 48), orientation)
    content = path.read_bytes()
    start = content.index(b'Exif\0\0') + 6
    path.write_bytes(content[:start] + b'XX' + content[start + 2 :])  # neither II nor MM
    assert isinstance(load(path, True), np.ndarray)
    assert np.array_equal(load(path, True), load(path, False))


@pytest.mark.parametrize('progressive', [False, True])
@pytest.mark.parametrize('subsampling', [0, 1, 2])
def test_headers(progressive, subsampling, tmp_path):
    """Beside Pillow's reading of the same file, with a comment and a profile before the frame."""
    image = Image.fromarray(photograph(70, 50))
    more = {'comment': b'\xff\xc0' * 30, 'icc_profile': bytes(range(256)) * 300}
    image.save(tmp_path / 'a.jpg', progressive=progressive, subsampling=subsampling, **more)
    header = read_header((tmp_path / 'a.jpg').read_bytes())
    assert (header.width, header.height) == Image.open(tmp_path / 'a.jpg').size
    whole = (tmp_path / 'a.jpg').read_bytes()
    for length in range(0, 700):
        assert read_header(whole[:length]) in (None, header)


def test_other_channels_and_values_are_loaded_whole(tmp_path):
    Image.fromarray(photograph(64, 48)).save(tmp_path / 'a.jpg')
    Image.fromarray(photograph(64, 48)).convert('L').save(tmp_path / 'grey.jpg')
    results = {'img_path': str(tmp_path / 'a.jpg')}
    assert LoadImage(max_value=100, reduce=True).transform(results)['img'].dtype == np.float32
    results = {'img_path': str(tmp_path / 'grey.jpg')}
    assert LoadImage(channels=1, reduce=True).transform(results)['img'].shape == (48, 64, 1)


def test_a_broken_file_is_named(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(photograph(640, 480)).save(buffer, 'jpeg')
    (tmp_path / 'a.jpg').write_bytes(buffer.getvalue()[:4])
    with pytest.raises(DataError, match=r'a\.jpg cannot be read'):
        load(tmp_path / 'a.jpg', True)
    with pytest.raises(DataError, match=r'nowhere\.jpg cannot be read'):
        load(tmp_path / 'nowhere.jpg', True)
    whole = buffer.getvalue()
    (tmp_path / 'b.jpg').write_bytes(whole[: whole.index(b'\xff\xda')])  # the header alone
    with pytest.raises(DataError, match=r'b\.jpg'):
        mmcv.imresize(load(tmp_path / 'b.jpg', True), (20, 20))


def test_a_header_that_does_not_tell_the_truth():
    header = read_header(cv2.imencode('.jpg', photograph(64, 48))[1].tobytes())
    image = JpegImage('a.jpg', header, lambda scale: np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(DataError, match=r'a\.jpg decodes to \(64, 48\).*\(48, 64\).*reduce=False'):
        np.asarray(image)


def test_it_is_the_array_to_whatever_else_asks(tmp_path):
    path = write(tmp_path / 'a.jpg', photograph(60, 40))
    image, whole = load(path, True), load(path, False)
    assert np.array_equal(image, whole) and np.array_equal(np.array(image), whole)
    assert np.array_equal(image.astype(np.float32), whole.astype(np.float32))
    assert np.array_equal(mmcv.imflip(image), mmcv.imflip(whole))
    assert np.array_equal(image[3], whole[3]) and np.array_equal(image[..., 0], whole[..., 0])
    assert np.array_equal(image[::2, 1:], whole[::2, 1:])
    crop = image[5:-5, -30:]
    assert isinstance(crop, JpegImage) and crop.shape == whole[5:-5, -30:].shape
    assert np.array_equal(crop[2:9, 3:], whole[5:-5, -30:][2:9, 3:])
    assert np.array_equal(copy.deepcopy(image), whole) and image.flags.c_contiguous
    canvas = np.zeros_like(whole)
    canvas[:] = image
    assert np.array_equal(canvas, whole)


def large_copy(shapes, root, size):
    """The ``shapes`` set with its images and masks enlarged, so that they must be reduced."""
    import json
    import shutil

    shutil.copytree(shapes, root)
    for path in [*root.rglob('*.jpg'), *root.glob('SegmentationClass/*.png')]:
        image = Image.open(path)
        how = Image.Resampling.NEAREST if path.suffix == '.png' else Image.Resampling.BICUBIC
        image.resize([s * size + 1 for s in image.size], how).save(path)
    for path in root.glob('coco/*.json'):
        content = json.loads(path.read_text())
        for image in content['images']:
            image['width'], image['height'] = image['width'] * size + 1, image['height'] * size + 1
        for one in content['annotations']:
            one['bbox'] = [side * size for side in one['bbox']]
            one['segmentation'] = [[x * size + 0.3, x * size + 9, x * size + 7.1, 3, 5, 50]
                                   for x in one['bbox'][:1]]  # fmt: skip
        path.write_text(json.dumps(content))
    return root


@pytest.fixture(scope='module')
def large(tiny_shapes, tmp_path_factory):
    return large_copy(tiny_shapes, tmp_path_factory.mktemp('large') / 'shapes', 7)


@pytest.mark.parametrize('loader', ['train_dataloader', 'val_dataloader', 'tta'])
@pytest.mark.parametrize('recipe', ['det/vit_retinanet', 'seg/vit_fcn', 'cls/vit_linear'])
def test_the_recipes_give_the_same_but_for_pixels(recipe, loader, large, tiny_options):
    from mmengine.registry import DATASETS, init_default_scope

    options = {**tiny_options, 'data_root': str(large), 'prepare_data': None}
    reduced_any = False
    samples = []
    for reduce in (True, False):
        options['reduce'] = reduce
        config = resolve(load_config(CONFIGS / f'{recipe}.py', options=options))
        init_default_scope(config.default_scope)
        dataset = config[loader if loader != 'tta' else 'val_dataloader'].dataset
        if loader == 'tta':
            dataset.pipeline = config.tta_pipeline
        if recipe.startswith('det') and loader != 'tta':
            for transform in dataset.pipeline:
                if transform['type'] == 'mmdet.LoadAnnotations':
                    transform['with_mask'] = True
        dataset = DATASETS.build(dataset)
        np.random.seed(5)
        torch.manual_seed(5)
        samples.append([dataset[i] for i in range(4)])
    for ours, whole in zip(*samples, strict=True):
        images = [one['inputs'] if isinstance(one['inputs'], list) else [one['inputs']]
                  for one in (ours, whole)]  # fmt: skip
        for a, b in zip(*images, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype
            difference = (a.float() - b.float()).abs().mean()
            reduced_any |= bool(difference)
            # The enlarged drawings are smooth; a shift of one pixel would give 5 and more.
            # mmseg's distortions of colour multiply what there is by up to 2.
            assert difference < (4 if 'seg' in recipe else 2)
        told = [one['data_samples'] if isinstance(one['data_samples'], list)
                else [one['data_samples']] for one in (ours, whole)]  # fmt: skip
        for a, b in zip(*told, strict=True):
            assert a.metainfo == b.metainfo
            if 'gt_instances' in a:
                assert torch.equal(a.gt_instances.bboxes.tensor, b.gt_instances.bboxes.tensor)
                if 'masks' in a.gt_instances:
                    masks = [one.gt_instances.masks.to_ndarray() for one in (a, b)]
                    assert np.array_equal(*masks)
            if 'gt_sem_seg' in a:
                assert torch.equal(a.gt_sem_seg.data, b.gt_sem_seg.data)
            if 'gt_label' in a:
                assert torch.equal(a.gt_label, b.gt_label)
    assert reduced_any
