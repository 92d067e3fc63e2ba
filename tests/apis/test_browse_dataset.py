"""What the network gets, against files read here."""

import json
from collections import Counter
from copy import deepcopy

import cv2
import numpy as np
import pytest
from mmengine.registry import MODELS, DefaultScope
from PIL import Image
from support import CONFIGS, as_cfg_options, fork_tool

from vitmm.apis.browse_dataset import browse_dataset
from vitmm.apis.contact_sheet import contact_sheet
from vitmm.apis.launch import prepare
from vitmm.apis.network_inputs import NetworkInputs, preprocessor_config
from vitmm.errors import ConfigError

LOAD = dict(type='vitmm.LoadImage')
BOXES = dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True)
PIPELINE = 'train_dataloader.dataset.pipeline'


@pytest.fixture
def browse(tiny_shapes, tmp_path):
    """A function: the pictures of a recipe by source file, and the lines of the report."""

    def call(recipe, number=12, out='out', **options):
        settings = {k: options.pop(k) for k in ('split', 'seed', 'tensorboard') if k in options}
        text = browse_dataset(
            CONFIGS / recipe,
            number=number,
            out=tmp_path / out,
            options=usual(tiny_shapes) | options.pop('options', {}),
            **settings,
        )
        found = {}
        for line in text.splitlines()[:-1]:
            file, rest = line.split(': ', 1)
            path, sizes, words = rest.split('  ')
            picture = np.asarray(Image.open(tmp_path / out / file))
            found[path] = picture, sizes, words
        return found

    return call


def usual(root):
    return {
        'data_root': str(root),
        'prepare_data': None,
        'model.backbone.model_name': 'test_resnet',  # timm's smallest; only its mean is asked for
        'env_cfg.mp_cfg': {},
    }


def loaded(path):
    return cv2.imread(path)[..., ::-1].astype(int)


def whole(picture, sizes):
    """The picture of the size that ends ``sizes``, made small again as it was made large."""
    times = picture.shape[0] // int(sizes.split()[-1])
    return picture[times // 2 :: times, times // 2 :: times].astype(int)


def annotations(root, split):
    """Boxes (x, y, w, h) and classes by file name."""
    content = json.loads((root / f'coco/instances_{split}.json').read_text())
    names = {one['id']: one['name'] for one in content['categories']}
    files = {one['id']: one['file_name'] for one in content['images']}
    found = {file: [] for file in files.values()}
    for one in content['annotations']:
        found[files[one['image_id']]].append((one['bbox'], names[one['category_id']]))
    return found


def test_pixels_come_back_exactly(browse):
    options = {
        PIPELINE: [LOAD, dict(type='mmpretrain.PackInputs')],
        'train_dataloader.batch_size': 1,  # images of different sizes
        'model.backbone.model_name': 'vit_tiny_patch16_224',  # with a mean and std of its own
    }
    found = browse('mim/vit_mae.py', 4, options=options)
    assert len(found) == 4
    for path, (picture, sizes, words) in found.items():
        image = loaded(path)
        height, width = image.shape[:2]
        small = whole(picture, sizes)
        assert sizes == f'{width} x {height} -> {width} x {height}'
        assert np.abs(small[:, :width] - image).max() <= 1
        # Beside it: the same, or grey in whole patches.
        seen = small[:, width:]
        grey = (seen == 128).all(-1)
        assert np.array_equal(seen[~grey], small[:, :width][~grey])
        cells = [
            grey[y : y + 16, x : x + 16].mean()
            for y in range(0, height, 16)
            for x in range(0, width, 16)
        ]
        assert all(cell == 1 or cell < 0.2 for cell in cells)
        assert words == f'{np.mean([cell == 1 for cell in cells]):.0%} left out'
        assert 0.7 < np.mean([cell == 1 for cell in cells]) < 0.8


@pytest.mark.parametrize('flipped', [False, True])
def test_boxes_are_where_the_annotations_say(browse, tiny_shapes, flipped):
    flip = dict(type='mmdet.RandomFlip', prob=float(flipped))
    options = {
        PIPELINE: [LOAD, BOXES, flip, dict(type='mmdet.PackDetInputs')],
        'train_dataloader.batch_size': 1,
    }
    found = browse('det/convnext_mask_rcnn.py', options=options)
    truth = annotations(tiny_shapes, 'train')
    assert len(found) == len(truth)
    for path, (picture, sizes, words) in found.items():
        told = truth[path.rpartition('/')[2]]
        image = loaded(path)[:, :: -1 if flipped else 1]
        counts = Counter(name for _, name in told).most_common()
        named = sorted(f'{name} {count}' for name, count in counts)
        assert words.startswith(f'{len(told)} box')
        assert sorted(words.partition('(')[2].rstrip(')').split(', ')) == named
        height, width = image.shape[:2]
        small = whole(picture, sizes)[:height, :width]
        changed = np.abs(small - image).max(-1) > 2
        for (x, y, w, h), _ in told:
            left = width - x - w if flipped else x
            edges = [
                (y + h / 2, left),
                (y + h / 2, left + w),
                (y, left + w / 2),
                (y + h, left + w / 2),
            ]
            for row, column in edges:
                r, c = (min(max(int(v), 2), n - 3) for v, n in ((row, height), (column, width)))
                assert changed[r - 2 : r + 3, c - 2 : c + 3].any()
        # And nowhere else: boxes with the width of a line, and their labels of a line of text.
        allowed = np.zeros_like(changed)
        for (x, y, w, h), _ in told:
            left = width - x - w if flipped else x
            right, below = max(left + w, left + 80), max(y + h, y + 25)
            rows = slice(max(int(y) - 4, 0), int(below) + 5)
            allowed[rows, max(int(left) - 4, 0) : int(right) + 5] = True
        assert not changed[~allowed].any()


def test_boxes_that_are_loaded_behind_the_resizing(browse, tiny_shapes):
    found = browse('det/convnext_mask_rcnn.py', split='val', options={'image_scale': (448, 448)})
    truth = annotations(tiny_shapes, 'val')
    for path, (picture, sizes, _) in found.items():
        image = loaded(path)
        scale = min(448 / max(image.shape[:2]), 448 / min(image.shape[:2]))
        height, width = (int(side * scale + 0.5) for side in image.shape[:2])
        assert f'-> {width} x {height}, padded to 448 x 448' in sizes
        plain = cv2.resize(image.astype(np.uint8), (width, height)).astype(int)
        changed = np.abs(picture[:height, :width] - plain).max(-1) > 40
        for (x, y, w, h), _ in truth[path.rpartition('/')[2]]:
            # White outlines of the object and the lines of its box touch all four sides.
            x, y, w, h = (value * scale for value in (x, y, w, h))
            rows, columns = slice(int(y) + 6, int(y + h) - 6), slice(int(x) + 6, int(x + w) - 6)
            for column in (x, x + w):
                c = min(max(int(column), 4), width - 5)
                assert changed[rows, c - 4 : c + 5].any(1).mean() > 0.8
            for line in (y, y + h):
                r = min(max(int(line), 4), height - 5)
                assert changed[r - 4 : r + 5, columns].any(0).mean() > 0.8


def test_images_without_objects_or_annotations(browse, tiny_shapes, tmp_path):
    content = json.loads((tiny_shapes / 'coco/instances_val.json').read_text())
    first = content['images'][0]['id']
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] != first]
    (tmp_path / 'fewer.json').write_text(json.dumps(content))
    options = {'val_ann': str(tmp_path / 'fewer.json')}
    found = browse('det/convnext_mask_rcnn.py', 1, split='val', options=options)
    assert [words for *_, words in found.values()] == ['0 boxes']
    resize = dict(type='mmdet.Resize', scale=(96, 96), keep_ratio=True)
    pipeline = [LOAD, resize, dict(type='mmdet.PackDetInputs')]
    options = {'test_dataloader.dataset.pipeline': pipeline}
    found = browse('det/convnext_mask_rcnn.py', 1, split='test', options=options)
    assert [words for *_, words in found.values()] == ['no annotations']


def test_fixed_padding_is_seen(browse):
    pad = dict(type='mmdet.BatchFixedSizePad', size=(256, 288), img_pad_value=0, pad_mask=True)
    options = {
        'model.data_preprocessor.batch_augments': [pad],
        'image_scale': (96, 96),
        'model.data_preprocessor.mean': [10, 20, 30],
        'model.data_preprocessor.std': [2, 3, 4],
    }
    for picture, sizes, _ in browse('det/convnext_mask_rcnn.py', 4, options=options).values():
        assert picture.shape == (256, 288, 3)
        assert sizes.endswith('padded to 288 x 256')
        assert np.array_equal(picture[-1, -1], [10, 20, 30])  # 0, normalised


@pytest.mark.parametrize('scale', [1, 2])
def test_regions_have_the_colours_of_their_classes(browse, tiny_shapes, scale):
    names = (tiny_shapes / 'ImageSets/Segmentation/val.txt').read_text().split()
    size = cv2.imread(str(tiny_shapes / f'JPEGImages/{names[0]}.jpg')).shape[:2]
    options = {
        'image_scale': (max(size) * scale, max(size) * scale),
        'val_dataloader.batch_size': 1,
        'val_dataloader.sampler.shuffle': False,
    }
    found = browse('seg/convnext_fcn.py', 1, split='val', options=options)
    (path, (picture, sizes, words)) = next(iter(found.items()))
    name = path.rpartition('/')[2].removesuffix('.jpg')
    mask = np.asarray(Image.open(tiny_shapes / f'SegmentationClass/{name}.png'))
    height, width = (side * scale for side in mask.shape)
    assert f'{mask.shape[1]} x {mask.shape[0]} -> {width} x {height}' in sizes
    times = max(1, -(-224 // min(int(side) for side in sizes.split(' ')[-3::2])))
    mask = mask.repeat(scale * times, 0).repeat(scale * times, 1)
    plain = cv2.resize(loaded(path).astype(np.uint8), (width, height)).repeat(times, 0)
    half = picture[: height * times, : width * times] - plain.repeat(times, 1) // 2.0
    for value in np.unique(mask):
        if value == 255:
            continue
        # Half the image and half one colour; text covers a part, edges are drawn on both sides.
        shades = half[mask == value].round().astype(int)
        typical = np.median(shades, axis=0)
        assert (np.abs(shades - typical).max(1) <= 2).mean() > 0.6
    assert words.startswith('background ')


def test_depth_lies_below(browse, tmp_path):
    from vitmm.datasets import write_rooms

    root = write_rooms(tmp_path / 'rooms', 3, 2)
    options = {'data_root': str(root)}
    for path, (picture, sizes, words) in browse(
        'depth/vit_depth.py', 2, split='val', options=options
    ).items():
        image = loaded(path)
        depth = cv2.imread(path.replace('images', 'annotations').replace('.jpg', '.png'), -1) / 1000
        known = depth[depth > 0]
        assert words.startswith(f'{known.min():.2f} to {known.max():.2f} m')
        upper, lower = np.split(picture, 2)
        assert np.abs(whole(upper, sizes)[: image.shape[0]] - image).max() <= 1
        near, far = (whole(lower, sizes)[np.unravel_index(at, depth.shape)] for at in (
            np.where(depth > 0, depth, np.inf).argmin(), depth.argmax()
        ))  # fmt: skip
        assert near[2] > near[0]  # blue is near, red is far
        assert far[0] > far[2]


def test_labels(browse, tiny_shapes):
    for path, (*_, words) in browse('cls/vit_linear.py').items():
        assert words == path.split('/')[-2]
    told = json.loads((tiny_shapes / 'multilabel/train.json').read_text())
    classes = told['metainfo']['classes']
    truth = {one['img_path']: one['gt_label'] for one in told['data_list']}
    for path, (*_, words) in browse('cls/resnet_multilabel.py', out='multi').items():
        labels = truth[path.rpartition('/')[2]]
        assert words == (', '.join(classes[label] for label in labels) or 'no label')


def test_mixed_images_have_the_shares_of_their_labels(browse, tiny_shapes):
    """Mixup: each pixel is the mean that the label says."""
    keep = dict(type='mmpretrain.Resize', scale=(64, 64))
    options = usual(tiny_shapes) | {PIPELINE: [LOAD, keep, dict(type='mmpretrain.PackInputs')]}
    mixed = {
        'batch_augments': '${mixup_cutmix}',
        'mixup_cutmix.augments': [dict(type='mmpretrain.Mixup', alpha=1.0)],
    }
    images = {}
    for key, more in (('plain', {}), ('mixed', mixed)):
        cfg = prepare(CONFIGS / 'cls/vit_linear.py', options=options | more)
        inputs = NetworkInputs(cfg, 'train', 24, seed=1)
        images[key] = [(inputs.picture(image).astype(float), one) for image, one in inputs]
    seen = 0
    for number, (picture, sample) in enumerate(images['mixed']):
        own = images['plain'][number]
        assert own[1].img_path == sample.img_path
        label = int(own[1].gt_label)
        share = float(sample.gt_score[label])
        if share > 0.999:  # mixed with one of its own class
            continue
        other = int(sample.gt_score.masked_fill(sample.gt_score == share, 0).argmax())
        partners = [one for one, s in images['plain'] if int(s.gt_label) == other]
        far = [np.abs(share * own[0] + (1 - share) * p - picture).max() for p in partners]
        assert min(far) <= 1
        seen += 1
    assert seen > 6
    words = [w for *_, w in browse('cls/vit_linear.py', 24, options=options | mixed).values()]
    assert any(' 0.' in told and ', ' in told for told in words)


def test_the_preprocessor_is_that_of_the_built_model():
    augments = dict(augments=[dict(type='mmpretrain.Mixup', alpha=1.0)])
    head = dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=64)
    backbone = dict(type='vitmm.TimmBackbone', model_name='test_resnet')
    model = dict(type='mmpretrain.ImageClassifier', backbone=backbone, head=head)
    for told in (None, dict(mean=[1.0], std=[2.0]), dict(batch_augments=None)):
        for trained in (None, augments):
            one = dict(
                model, data_preprocessor=told and dict(told, num_classes=3), train_cfg=trained
            )
            with DefaultScope.overwrite_default_scope('mmpretrain'):
                ours = MODELS.build(preprocessor_config(dict(model=deepcopy(one))))
                theirs = MODELS.build(one).data_preprocessor
            assert type(ours) is type(theirs)
            assert (ours.batch_augments is None) == (theirs.batch_augments is None)
            assert ours._enable_normalize == theirs._enable_normalize


def test_a_seed_repeats_itself(browse):
    first, again, other = (
        browse('seg/convnext_fcn.py', 3, out=out, seed=seed)
        for out, seed in (('a', 5), ('b', 5), ('c', 6))
    )
    assert list(first) == list(again)
    assert all(np.array_equal(first[path][0], again[path][0]) for path in first)
    assert any(
        path not in other or not np.array_equal(first[path][0], other[path][0]) for path in first
    )


def test_tensorboard_has_the_pictures(browse, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = browse('cls/vit_linear.py', 2, tensorboard=tmp_path / 'board')
    board = EventAccumulator(str(tmp_path / 'board'), size_guidance={'images': 0})
    board.Reload()
    stored = [
        cv2.imdecode(np.frombuffer(event.encoded_image_string, np.uint8), 1)[..., ::-1]
        for event in board.Images('train')
    ]
    for (picture, *_), image in zip(found.values(), stored, strict=True):
        assert np.array_equal(picture, image)


def test_sheet():
    pictures = [np.full((20, 30, 3), value, np.uint8) for value in (10, 20, 30, 40, 50)]
    sheet = contact_sheet([*pictures, np.full((400, 800, 3), 60, np.uint8)], side=40)
    values, counts = np.unique(sheet[..., 0], return_counts=True)
    assert list(values) == [10, 20, 30, 40, 50, 60, 255]
    assert list(counts[:-1]) == [600] * 5 + [20 * 40]


def test_bad_input(tiny_shapes, tmp_path, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    (tmp_path / 'file').write_text('')
    for recipe, settings, message in (
        ('mim/vit_mae.py', dict(split='val'), 'no val_dataloader; choose of: train'),
        ('cls/vit_linear.py', dict(split='trian'), 'Did you mean train'),
        ('cls/vit_linear.py', dict(number=0), '--number'),
        ('cls/vit_linear.py', dict(out=tmp_path / 'file'), 'name a folder'),
        ('cls/vit_linear.py', dict(show=True), 'no display'),
    ):
        options = {'data_root': str(tiny_shapes), 'prepare_data': None}
        settings.setdefault('out', tmp_path / 'out')
        with pytest.raises(ConfigError, match=message):
            browse_dataset(CONFIGS / recipe, options=options, **settings)
    assert not (tmp_path / 'out').exists()


def test_as_a_process(tiny_shapes, tmp_path):
    options = as_cfg_options({'data_root': str(tiny_shapes), 'prepare_data': None})
    words = ['--split', 'val', '--number', '3', '--out', tmp_path / 'out']
    recipe = 'configs/det/convnext_mask_rcnn.py'
    done = fork_tool('browse_dataset.py', recipe, *words, '--cfg-options', *options)
    assert done.returncode == 0, done.stderr[-2000:]
    assert '3 images (val)' in done.stdout
    assert '3/3' in done.stderr  # the bar
    assert len(list((tmp_path / 'out').glob('*.png'))) == 3
    assert cv2.imread(str(tmp_path / 'out/sheet.jpg')).std() > 0
