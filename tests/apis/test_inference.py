"""Predicting images and videos: against testing, pycocotools, and files read back."""

import csv
import json
import pickle
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from multiband import write_multiband
from PIL import Image
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from support import CONFIGS

from vitmm.apis.inference import Predictor, infer
from vitmm.apis.test import test as evaluate
from vitmm.config import load_config, resolve
from vitmm.config.stored import read_stored
from vitmm.datasets.errors import DataError
from vitmm.errors import ConfigError, VitmmError, WeightsError
from vitmm.inference.drawing import read_picture
from vitmm.inference.inputs import Item, Media
from vitmm.inference.stored_model import building

TASKS = ('cls', 'det', 'seg', 'depth')


@pytest.fixture(params=TASKS)
def any_model(request, trained):
    return trained(request.param)


def config_of(checkpoint):
    return next(checkpoint.parent.glob('*.py'))


def told(sample):
    """The numbers of a result, a data sample or what testing dumps of it."""
    sample = sample if isinstance(sample, dict) else sample.to_dict()
    if 'pred_instances' in sample:
        found = sample['pred_instances']
        return [found[key] for key in ('bboxes', 'scores', 'labels')], found['masks']
    for key in ('pred_sem_seg', 'pred_depth_map'):
        if key in sample:
            return [sample[key]['data']], None
    return [sample['pred_score'], sample['pred_label']], None


def same(found, expected, rtol=1e-5, atol=1e-5):
    (found, masks), (expected, true_masks) = told(found), told(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)
    if masks is not None:
        assert torch.equal(torch.as_tensor(masks), torch.as_tensor(true_masks))


@pytest.fixture
def dumped(tmp_path):
    """A function: what tools/test.py --out tells of each image of the test set, by its path."""

    def dump(checkpoint, **options):
        options.setdefault('test_dataloader.batch_size', 1)
        evaluate(
            config_of(checkpoint),
            checkpoint,
            work_dir=tmp_path / 'test',
            out=tmp_path / 'out.pkl',
            options=options,
        )
        samples = pickle.loads((tmp_path / 'out.pkl').read_bytes())
        return {sample['img_path']: sample for sample in samples}

    return dump


def test_results_are_those_of_testing(any_model, dumped):
    expected = dumped(any_model)
    found = dict(Predictor(any_model)(expected, batch_size=1))
    assert list(found) == list(expected)
    for path, sample in expected.items():
        same(found[path], sample)


@pytest.mark.parametrize('task', ['cls', 'seg', 'depth'])
def test_batches_of_many_sizes_change_nothing(task, trained, tiny_shapes):
    predictor = Predictor(trained(task), device='cpu')
    paths = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:9]
    assert len({cv2.imread(str(path)).shape for path in paths}) > 1
    one_by_one = dict(predictor(paths, batch_size=1))
    together = dict(predictor(paths, batch_size=4))
    assert list(together) == [str(path) for path in paths]
    for path, sample in together.items():
        height, width = cv2.imread(path).shape[:2]
        if task != 'cls':
            assert told(sample)[0][0].shape == (1, height, width)
        same(sample, one_by_one[path], rtol=1e-4)


def test_arrays_are_bgr_and_may_be_changed(any_model, tiny_shapes):
    whole = {'test_dataloader.dataset.pipeline.0.reduce': False}  # JPEGs as OpenCV decodes them
    predictor = Predictor(any_model, options=whole)
    paths = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:2]
    files = [sample for _, sample in predictor(paths)]
    images = [cv2.imread(str(path)) for path in paths]
    for (name, sample), expected, number in zip(predictor(images), files, '01', strict=True):
        assert name == number
        values = told(expected)[0][0].clone()
        torch.testing.assert_close(told(sample)[0][0], values)
        told(sample)[0][0][:] = 0  # results of inference mode would refuse
    flipped = next(iter(predictor(images[0][..., ::-1])))[1]
    assert not torch.equal(told(flipped)[0][0], told(files[0])[0][0])


@pytest.fixture
def invented(trained, dumped, tmp_path):
    """COCO annotations made of half of what testing finds, under ids of their own."""
    checkpoint = trained('det')
    images, annotations = [], []
    for number, (path, sample) in enumerate(dumped(checkpoint).items()):
        height, width = sample['ori_shape']
        name = Path(path).name
        images.append(dict(id=100 - 7 * number, file_name=name, height=height, width=width))
        found = sample['pred_instances']
        for i in range(0, len(found['scores']), 2):
            x1, y1, x2, y2 = found['bboxes'][i].tolist()
            area = (x2 - x1) * (y2 - y1)
            mask = coco_masks.encode(np.asfortranarray(found['masks'][i], np.uint8))
            if not coco_masks.area(mask) or area < 1:
                continue
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=images[-1]['id'],
                    category_id=50 - 3 * int(found['labels'][i]),
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    area=area,
                    iscrowd=0,
                    segmentation={**mask, 'counts': mask['counts'].decode()},
                )
            )
    names = Predictor(checkpoint).classes
    categories = [dict(id=50 - 3 * label, name=name) for label, name in enumerate(names)]
    file = tmp_path / 'invented.json'
    file.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return file


def test_coco_json_measures_as_the_evaluator(trained, invented, dumped, tmp_path):
    checkpoint = trained('det')
    folder = next(iter(dumped(checkpoint))).rpartition('/')[0]
    figures = evaluate(
        config_of(checkpoint),
        checkpoint,
        work_dir=tmp_path / 'test',
        options={
            'test_dataloader.batch_size': 1,
            'test_dataloader.dataset.ann_file': str(invented),
            'test_evaluator.ann_file': str(invented),
        },
    )
    names = [image['file_name'] for image in json.loads(invented.read_text())['images']]
    paths = [f'{folder}/{name}' for name in names]
    infer(checkpoint, paths, tmp_path, ann=invented, formats=['coco'], batch_size=1)
    truth = COCO(str(invented))
    for kind in ('bbox', 'segm'):
        measure = COCOeval(truth, truth.loadRes(str(tmp_path / 'results.json')), kind)
        measure.evaluate()
        measure.accumulate()
        measure.summarize()
        assert figures[f'coco/{kind}_mAP'] > 0.3
        assert round(float(measure.stats[0]), 3) == figures[f'coco/{kind}_mAP']
    # images.json stands in where there are no annotations.
    own = COCO(str(tmp_path / 'images.json'))
    assert [image['file_name'] for image in own.dataset['images']] == names
    results = own.loadRes(str(tmp_path / 'results.json')).dataset['annotations']
    for entry in results[:5]:
        assert own.imgs[entry['image_id']]['file_name'] == entry['file_name']
        assert own.cats[entry['category_id']]['name'] == entry['category_name']


def test_masks_are_the_predicted_classes(trained, tiny_shapes, tmp_path):
    folder = tiny_shapes / 'JPEGImages'
    formats = ['masks', 'coco', 'csv', 'pictures']
    infer(trained('seg'), f'{folder}/*0.jpg', tmp_path, formats=formats)
    predictor = Predictor(trained('seg'))
    results = json.loads((tmp_path / 'results.json').read_text())
    rows = list(csv.DictReader((tmp_path / 'results.csv').open()))
    for path, sample in predictor(f'{folder}/*0.jpg'):
        segments = sample.pred_sem_seg.data[0].numpy()
        name = Path(path).stem
        image = Image.open(tmp_path / f'masks/{name}.png')
        assert image.mode == 'P'
        assert np.array_equal(np.asarray(image), segments)
        colours = np.reshape(image.getpalette(), (-1, 3))[: len(predictor.classes)]
        assert np.array_equal(colours, predictor.palette)
        assert cv2.imread(str(tmp_path / f'pictures/{name}.jpg')).shape[:2] == segments.shape
        entries = [entry for entry in results if entry['file_name'] == f'{name}.jpg']
        again = np.full(segments.shape, -1)
        for entry in entries:
            again[coco_masks.decode(entry['segmentation']) > 0] = entry['category_id'] - 1
        assert np.array_equal(again, segments)
        pixels = {r['class']: int(r['pixels']) for r in rows if r['image'] == f'{name}.jpg'}
        for label, number in enumerate(np.bincount(segments.ravel())):
            assert pixels.get(predictor.classes[label], 0) == number
    assert (tmp_path / 'masks/classes.txt').read_text().split() == predictor.classes


def test_depth_is_in_millimetres(trained, tmp_path):
    predictor = Predictor(trained('depth'))
    images = Path(predictor.config.data_root) / 'images/test'
    infer(trained('depth'), images, tmp_path)
    for path, sample in predictor(images):
        found = cv2.imread(str(tmp_path / f'depth/{Path(path).stem}.png'), cv2.IMREAD_UNCHANGED)
        assert found.dtype == np.uint16
        metres = sample.pred_depth_map.data[0].numpy()
        assert np.abs(found / 1000 - metres).max() < 0.00051
        assert found.max() > 100
        picture = cv2.imread(str(tmp_path / f'pictures/{Path(path).stem}.jpg'))
        assert picture.shape[0] == 2 * len(metres)


def test_instances_and_table_hold_what_is_above_the_score(trained, tiny_shapes, tmp_path):
    paths = sorted((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
    found = dict(Predictor(trained('det'))(paths))
    score = float(np.median(np.concatenate([s.pred_instances.scores for s in found.values()])))
    infer(trained('det'), paths, tmp_path, score=score, formats=['masks', 'csv'])
    rows = list(csv.DictReader((tmp_path / 'results.csv').open()))
    assert len(rows) == sum(int((s.pred_instances.scores > score).sum()) for s in found.values())
    for path, sample in found.items():
        image = cv2.imread(str(tmp_path / f'masks/{Path(path).stem}.png'), cv2.IMREAD_UNCHANGED)
        above = sample.pred_instances[sample.pred_instances.scores > score]
        masks = np.asarray(above.masks, bool)
        assert image.max() <= len(above)
        assert np.array_equal(image > 0, masks.any(0) if len(masks) else image > 0)
        for number in np.unique(image[image > 0]):
            assert masks[number - 1][image == number].all()
    infer(trained('det'), paths, tmp_path / 'none', score=1.0, formats=['pictures', 'csv', 'masks'])
    assert (tmp_path / 'none/results.csv').read_text().count('\n') == 1
    for path in paths:  # a picture without boxes is the image
        drawn = cv2.imread(str(tmp_path / f'none/pictures/{path.stem}.jpg')).astype(int)
        assert np.abs(drawn - cv2.imread(str(path))).mean() < 4


def test_pictures_show_the_image_in_its_colours(tiny_shapes):
    path = str(next((tiny_shapes / 'JPEGImages').glob('*.jpg')))
    image, media = cv2.imread(path), Media(path, 'a.jpg', 'a')
    rgb = np.asarray(Image.open(path).convert('RGB')).astype(int)
    for item in (Item(media), Item(media, None, image)):
        assert np.abs(read_picture(item, 3) - rgb).mean() < 1  # two decoders
    bands = np.dstack([image, image[..., :1] // 2])
    assert np.array_equal(read_picture(Item(media, None, bands), 4), image)  # as they come


def test_openmmlabs_own_loader(trained, tiny_shapes, tmp_path):
    def load_by_mmcv(content):
        config = Config(read_stored(content['meta']['cfg']))
        config.test_dataloader.dataset.pipeline[0] = dict(type='LoadImageFromFile')
        content['meta']['cfg'] = config.pretty_text

    paths = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:3]
    whole = {'test_dataloader.dataset.pipeline.0.reduce': False}
    ours = dict(Predictor(trained('seg'), options=whole)(paths))
    stock = Predictor(change(trained('seg'), tmp_path / 'stock.pth', load_by_mmcv))
    for path, sample in stock(paths):
        same(sample, ours[path])
    with pytest.raises(DataError, match=r'classes\.txt cannot be read'):
        next(stock([tiny_shapes / 'classes.txt', paths[0]]))


def test_four_bands_of_sixteen_bits(tiny_shapes, tmp_path):
    root = write_multiband(tiny_shapes, tmp_path / 'bands', 4, 'uint16')
    options = {'data_root': str(root), 'prepare_data': None, 'image_suffix': '.tif'}
    options |= {'model.backbone.in_chans': 4, 'model.backbone.model_name': 'test_resnet'}
    config = resolve(load_config(CONFIGS / 'seg/convnext_fcn.py', 'folder', {
        **options, 'train_images': 'JPEGImages', 'train_masks': 'SegmentationClass',
        'val_images': 'JPEGImages', 'val_masks': 'SegmentationClass',
    }))  # fmt: skip
    with building(config):
        model = MODELS.build(config.model)
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(classes=list('abcdefg')))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), tmp_path / 'bands.pth')
    paths = sorted((root / 'JPEGImages').glob('val*.tif'))
    infer(tmp_path / 'bands.pth', paths, tmp_path / 'out')
    for path in paths:
        size = tifffile.TiffFile(path).pages[0].shape
        size = size[:2] if size[-1] == 4 else size[-2:]
        for kind in ('pictures', 'masks'):
            (file,) = (tmp_path / 'out' / kind).glob(f'{path.stem}.*')
            assert Image.open(file).size == size[::-1]
    array = np.random.default_rng(0).random((50, 60, 3), np.float32)
    with pytest.raises(DataError, match=r'\(50, 60, 3\); the model takes \(H, W, 4\)'):
        next(Predictor(tmp_path / 'bands.pth')(array))


@pytest.fixture
def clip(tiny_shapes, tmp_path):
    """A video of seven frames."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (96, 64))
    for image in sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:7]:
        writer.write(cv2.resize(cv2.imread(str(image)), (96, 64)))
    writer.release()
    return path


def frames(path):
    capture = cv2.VideoCapture(str(path))
    while True:
        there, image = capture.read()
        if not there:
            return
        yield image


@pytest.mark.parametrize('task', ['cls', 'det', 'seg'])
def test_a_video(task, trained, clip, tmp_path):
    out = tmp_path / 'out'
    formats = ['csv', 'pictures', *(['masks'] if task == 'seg' else [])]
    infer(trained(task), clip, out, batch_size=3, formats=formats, score=-1)
    assert [p.shape for p in frames(out / 'pictures/clip.mp4')] == [(64, 96, 3)] * 7
    rows = list(csv.DictReader((out / 'results.csv').open()))
    assert sorted({int(row['frame']) for row in rows}) == list(range(7))
    images = list(frames(clip))
    found = Predictor(trained(task))(clip, batch_size=3)
    for number, ((label, one), (_, other)) in enumerate(
        zip(found, Predictor(trained(task))(images, batch_size=3), strict=True)
    ):
        assert label == f'{clip}#{number}'
        torch.testing.assert_close(told(one)[0], told(other)[0])
        if task == 'seg':
            mask = Image.open(out / f'masks/clip/{number:06d}.png')
            assert np.array_equal(np.asarray(mask), one.pred_sem_seg.data[0])


def test_a_video_that_ends_early_keeps_what_was_found(trained, clip, tmp_path):
    content = bytearray(clip.read_bytes())
    for place in (content.find(b'avih') + 24, content.find(b'strh') + 40):
        assert struct.unpack('<I', content[place : place + 4]) == (7,)
        content[place : place + 4] = struct.pack('<I', 50)
    clip.write_bytes(content)
    with pytest.raises(DataError, match=r'clip.avi ends early: 7 of its 50'):
        infer(trained('cls'), clip, tmp_path / 'out', batch_size=4)
    assert len(list(frames(tmp_path / 'out/pictures/clip.mp4'))) == 7
    assert (tmp_path / 'out/results.csv').read_text().count('\n') == 8
    assert '1 bad' in infer(trained('cls'), clip, tmp_path / 'out', skip_bad=True)


@pytest.fixture
def images(tiny_shapes, tmp_path):
    """A folder with folders, names that meet, one file that is no image, and results of old."""
    folder = tmp_path / 'images'
    sources = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    for name, source in zip(('a.jpg', 'b/a.jpg', 'b/c.jpg', 'out/old.jpg'), sources, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(source.read_bytes())
    cv2.imwrite(str(folder / 'a.png'), cv2.imread(str(sources[5])))
    (folder / 'b/notes.txt').write_text('no image')
    return folder


def test_a_folder_with_folders(trained, images):
    out = images / 'out'
    infer(trained('cls'), images, out)
    rows = list(csv.DictReader((out / 'results.csv').open()))
    assert [row['image'] for row in rows] == ['a.jpg', 'a.png', 'b/a.jpg', 'b/c.jpg']
    drawn = sorted(p.relative_to(out).as_posix() for p in out.rglob('pictures/**/*.jpg'))
    assert drawn == [
        f'pictures/{n}.jpg' for n in ('a.jpg', 'a.png', 'b/a', 'b/c')
    ]  # two of one stem
    found = dict(Predictor(trained('cls'))([images / 'b', f'{images}/*.png']))
    assert list(found) == [str(images / n) for n in ('b/a.jpg', 'b/c.jpg', 'a.png')]


def test_a_bad_image_ends_it_and_the_results_before_are_kept(trained, images, tmp_path):
    (images / 'b/b.jpg').write_bytes((images / 'a.jpg').read_bytes()[:300])
    out = tmp_path / 'out'
    with pytest.raises(DataError, match=r'b/b\.jpg cannot be read'):
        infer(trained('seg'), f'{images}/b/*.jpg', out, formats=['csv', 'coco', 'masks'])
    assert {r['image'] for r in csv.DictReader((out / 'results.csv').open())} == {'a.jpg'}
    assert {r['file_name'] for r in json.loads((out / 'results.json').read_text())} == {'a.jpg'}
    assert [p.name for p in (out / 'masks').glob('*.png')] == ['a.png']
    assert not list(out.rglob('.*'))
    said = infer(trained('seg'), f'{images}/b/*.jpg', out, formats=['csv'], skip_bad=True)
    assert '2 images' in said
    assert '1 bad' in said
    assert {r['image'] for r in csv.DictReader((out / 'results.csv').open())} == {'a.jpg', 'c.jpg'}


def change(checkpoint, file, do):
    content = torch.load(checkpoint)
    do(content)
    torch.save(content, file)
    return file


def swap(content, old, new):
    assert old in content['meta']['cfg']
    content['meta']['cfg'] = content['meta']['cfg'].replace(old, new)


@pytest.mark.parametrize(
    ('do', 'error', 'words'),
    [
        (lambda c: c['meta'].pop('cfg'), ConfigError, 'no config .* --config'),
        (lambda c: c['state_dict'].pop('head.fc.bias'), WeightsError, r'missing: head\.fc\.bias'),
        (lambda c: swap(c, "'mmpretrain.LinearClsHead'", "'os.system'"), ConfigError, 'os.system'),
        (lambda c: swap(c, "'vitmm',", "'vitmm', 'no_such_heads',"), ConfigError, 'no_such_heads'),
        (
            lambda c: swap(c, "'mmpretrain.LinearClsHead'", "'mmpretrain.LinearClsHead', oops=1"),
            ConfigError,
            'oops',
        ),
        (lambda c: swap(c, 'crop_size=64', 'crop_size=open(1)'), ConfigError, 'not plain'),
    ],
    ids=['no config', 'weights', 'code', 'custom import', 'argument', 'call'],
)
def test_bad_checkpoints(do, error, words, trained, tmp_path):
    file = change(trained('cls'), tmp_path / 'bad.pth', do)
    with pytest.raises(error, match=words):
        Predictor(file)


def test_a_checkpoint_without_config_takes_one(trained, tmp_path, tiny_shapes):
    bare = change(trained('cls'), tmp_path / 'bare.pth', lambda c: c.pop('meta'))
    path = next((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    ((_, found),) = Predictor(bare, config_of(trained('cls')))(path)
    ((_, expected),) = Predictor(trained('cls'))(path)
    assert torch.equal(found.pred_score, expected.pred_score)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(inputs='/nowhere.jpg'), 'no file or folder /nowhere.jpg'),
        (dict(inputs='/nowhere/*.jpg'), r'no file fits /nowhere/\*.jpg'),
        (dict(formats=['picture']), 'pictures'),
        (dict(formats=['coco']), 'not of cls'),
        (dict(formats=['masks']), 'gives none'),
        (dict(device='cuda:99'), 'cuda:99'),
        (dict(batch_size=0), '--batch-size'),
        (dict(checkpoint='/nowhere.pth'), '/nowhere.pth does not exist'),
        (dict(options={'model.head.num_classes.x': 1}), 'does not fit'),
    ],
    ids=lambda v: None if isinstance(v, dict) else v[:12],
)
def test_bad_arguments(settings, words, trained, tiny_shapes, tmp_path):
    usual = dict(checkpoint=trained('cls'), inputs=tiny_shapes / 'JPEGImages')
    with pytest.raises(VitmmError, match=words):
        infer(out=tmp_path / 'out', **{**usual, **settings})
    assert not list(tmp_path.rglob('results*'))


def test_a_folder_without_images(trained, tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty/notes.txt').write_text('no image')
    with pytest.raises(DataError, match='empty holds no image'):
        infer(trained('cls'), tmp_path / 'empty', tmp_path / 'out')


def test_annotations_of_other_images(trained, invented, tiny_shapes, tmp_path):
    with pytest.raises(DataError, match=r'has no image train_'):
        infer(
            trained('det'), f'{tiny_shapes}/JPEGImages/train*.jpg', tmp_path / 'out', ann=invented
        )
    content = json.loads(invented.read_text())
    content['categories'][-1]['name'] = 'rings'
    invented.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"no category 'ring'.* Did you mean rings"):
        infer(trained('det'), f'{tiny_shapes}/JPEGImages/*.jpg', tmp_path / 'out', ann=invented)


def test_mixed_precision_is_near(trained, tiny_shapes):
    path = next((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    ((_, plain),) = Predictor(trained('depth'))(path)
    ((_, mixed),) = Predictor(trained('depth'), amp=True)(path)
    difference = (mixed.pred_depth_map.data - plain.pred_depth_map.data).abs()
    assert 0 < difference.max() < 0.1  # metres
