"""Files of results: against pycocotools, and read back."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from PIL import Image
from predictions import change, config_of, frames, swap, told
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vitmm.apis.inference import Predictor, infer
from vitmm.apis.test import test as evaluate
from vitmm.datasets.errors import DataError
from vitmm.inference.drawing import surest_on_top


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


def test_a_folder_of_links_and_hidden_files(trained, images, tmp_path):
    (tmp_path / 'links').mkdir()
    (tmp_path / 'links/more').symlink_to(images)
    (tmp_path / 'links/around').symlink_to(tmp_path / 'links')
    (tmp_path / 'links/._a.jpg').write_bytes(b'what a Mac leaves beside a.jpg')
    found = dict(Predictor(trained('cls'))(tmp_path / 'links'))
    names = ('a.jpg', 'a.png', 'b/a.jpg', 'b/c.jpg', 'out/old.jpg')
    assert list(found) == [str(tmp_path / 'links/more' / name) for name in names]


def test_results_of_another_run_are_not_called_ones_own(trained, images, tmp_path):
    (tmp_path / 'masks').mkdir()
    (tmp_path / 'images.json').write_text('{}')
    (tmp_path / 'images.json').chmod(0o444)
    told = infer(trained('cls'), images / 'a.jpg', tmp_path)
    assert told == f'1 image (cls): {tmp_path}/pictures, {tmp_path}/results.csv'


def test_several_labels_an_image(trained, images, tmp_path):
    head = ('mmpretrain.LinearClsHead', 'mmpretrain.MultiLabelLinearClsHead')
    file = change(trained('cls'), tmp_path / 'several.pth', lambda c: swap(c, *head))
    infer(file, images / 'b', tmp_path / 'out')
    rows = list(csv.DictReader((tmp_path / 'out/results.csv').open()))
    for path, sample in Predictor(file)(images / 'b'):
        scores = {r['class']: float(r['score']) for r in rows if r['image'] == Path(path).name}
        expected = [round(s, 6) for s in sample.pred_score.tolist() if s >= 0.5]
        assert list(scores.values()) == pytest.approx(expected, abs=1e-6)


def test_annotations_of_other_images(trained, invented, tiny_shapes, tmp_path):
    with pytest.raises(DataError, match=r'has no image train_'):
        infer(
            trained('det'), f'{tiny_shapes}/JPEGImages/train*.jpg', tmp_path / 'out', ann=invented
        )
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['pictures']
    content = json.loads(invented.read_text())
    content['categories'][-1]['name'] = 'rings'
    invented.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"no category 'ring'.* Did you mean rings"):
        infer(trained('det'), f'{tiny_shapes}/JPEGImages/*.jpg', tmp_path / 'out', ann=invented)


def test_the_surest_detection_is_drawn_last():
    sample = DetDataSample(metainfo=dict(ori_shape=(8, 8)))
    sample.pred_instances = InstanceData(
        scores=torch.tensor([0.7, 0.3, 0.5]), labels=torch.tensor([0, 1, 2])
    )
    shown = surest_on_top(sample)
    assert shown.pred_instances.labels.tolist() == [1, 2, 0]
    assert shown.ori_shape == (8, 8)
    assert sample.pred_instances.labels.tolist() == [0, 1, 2]
