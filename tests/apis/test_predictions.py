"""The analysis of whole test runs, against what tools/test.py writes and measures."""

import csv
import json

import numpy as np
import pytest
import timm
import torch
from mmpretrain.structures import DataSample
from PIL import Image
from predictions import change, config_of
from support import CONFIGS, load_tool

from vitmm.apis.predictions.analyze import analyze_predictions
from vitmm.apis.predictions.records import Records
from vitmm.apis.predictions.several_labels import SeveralLabels
from vitmm.apis.publish import publish
from vitmm.errors import ConfigError, VitmmError, WeightsError


@pytest.fixture
def analyze(trained, tmp_path):
    """A function: what an analysis of a task's model writes, and the folder."""

    def call(task, checkpoint=None, **settings):
        checkpoint = checkpoint or trained(task)
        out = tmp_path / 'analysis'
        settings['options'] = {'test_dataloader.num_workers': 0} | settings.pop('options', {})
        config = settings.pop('config', None) or config_of(trained(task))
        said = analyze_predictions(config, checkpoint, out=out, **settings)
        rows = list(csv.DictReader((out / 'worst.csv').open()))
        measures = [float(row['measure']) for row in rows]
        assert measures == sorted(measures, reverse=task in ('cls', 'depth'))
        return json.loads((out / 'analysis.json').read_text()), rows, out, said

    return call


def confusion_of(out):
    found = json.loads((out / 'confusion.json').read_text())
    table = list(csv.reader((out / 'confusion.csv').open()))
    assert table[0][1:] == found['classes'] == [row[0] for row in table[1:]]
    assert [[int(cell) for cell in row[1:]] for row in table[1:]] == found['counts']
    return np.array(found['counts']), found


def test_classification_is_ranked_by_loss(analyze, dumped, trained, tmp_path):
    folder = publish(trained('cls'), tmp_path / 'published')  # as tools/test.py takes it
    events = tmp_path / 'events'
    content, rows, out, said = analyze('cls', folder, config=folder, number=3, tensorboard=events)
    samples = dumped(trained('cls'))
    assert {row['image'] for row in rows} == set(samples) and len(rows) == len(samples)
    classes = confusion_of(out)[1]['classes']
    counts = np.zeros_like(confusion_of(out)[0])
    for row in rows:
        one = samples[row['image']]
        true = int(one['gt_label'])
        assert row['truth'] == classes[true]
        assert row['predicted'] == classes[int(one['pred_score'].argmax())]
        loss = -float(one['pred_score'][true].log())
        assert float(row['measure']) == pytest.approx(loss, abs=1e-5)
        counts[true, int(one['pred_score'].argmax())] += 1
    assert confusion_of(out)[0].tolist() == counts.tolist()
    assert content['metrics']['accuracy/top1'] == pytest.approx(100 * np.trace(counts) / len(rows))
    pictures = sorted((out / 'worst').iterdir())
    assert [f'worst/{file.name}' for file in pictures] == [one['file'] for one in content['worst']]
    assert len(pictures) == 3 and rows[0]['measure'][:5] in pictures[0].name
    page = (out / 'report.html').read_text()
    for name in ('confusion.png', 'worst.csv', *(one['file'] for one in content['worst'])):
        assert (out / name).is_file() and f'"{name}"' in page
    assert rows[0]['truth'] in said and list(events.glob('**/events*'))
    # Another analysis leaves nothing of this one behind.
    analyze('cls', number=1)
    assert len(list((out / 'worst').iterdir())) == 1


def test_a_planted_confusion_shows(analyze, trained, tmp_path):
    analyze('cls')
    before = confusion_of(tmp_path / 'analysis')[0]
    most = int(before.sum(0).argmax())
    places, swapped = [most, most - 1], [most - 1, most]  # -1 is the last

    def swap(content):
        # The averaged weights are tested.
        for states in (content['state_dict'], content['ema_state_dict']):
            for key, value in states.items():
                if 'head.' in key:
                    value[places] = value[swapped].clone()

    _, _, out, _ = analyze('cls', change(trained('cls'), tmp_path / 'swapped.pth', swap))
    expected = before.copy()
    expected[:, places] = before[:, swapped]
    assert confusion_of(out)[0].tolist() == expected.tolist() != before.tolist()


def test_a_pretrained_classifier_needs_no_checkpoint(tiny_options, tmp_path):
    model = timm.create_model('test_efficientnet', num_classes=6)
    torch.save(model.state_dict(), tmp_path / 'donor.pth')
    recipe, out = CONFIGS / 'cls/timm_classifier.py', tmp_path / 'out'
    options = tiny_options | {
        'model.backbone.model_name': 'test_efficientnet',
        'model.backbone.pretrained': str(tmp_path / 'donor.pth'),
    }
    analyze_predictions(recipe, None, out=out, data='shapes', options=options, number=1)
    content = json.loads((out / 'analysis.json').read_text())
    counts = confusion_of(out)[0]
    right = 100 * np.trace(counts) / counts.sum()
    assert content['metrics']['accuracy/top1'] == pytest.approx(right, abs=1e-3)
    assert content['checkpoint'] == 'pretrained weights'


def test_segmentation_is_ranked_by_mean_iou(analyze, dumped, trained):
    content, rows, out, _ = analyze('seg', number=2, amp=False)
    counts, told = confusion_of(out)
    expected, number = np.zeros_like(counts), len(counts)
    samples = dumped(trained('seg'))
    assert len(rows) == len(samples) == content['images']
    for row in rows:
        one = samples[row['image']]
        truth = one['gt_sem_seg']['data'][0].numpy()
        predicted = one['pred_sem_seg']['data'][0].numpy()
        ious = []
        for k in np.unique(truth[truth != 255]):
            seen = truth != 255
            both = ((truth == k) & (predicted == k)).sum()
            ious.append(both / (((truth == k) | (predicted == k)) & seen).sum())
        assert float(row['measure']) == pytest.approx(np.mean(ious), abs=1e-6)
        for t in range(number):
            expected[t] += np.bincount(predicted[truth == t], minlength=number)
    assert counts.tolist() == expected.tolist() and told['unit'] == 'pixels'
    right = np.diag(counts)
    with np.errstate(invalid='ignore'):
        ious = right / (counts.sum(0) + counts.sum(1) - right)
    assert content['metrics']['mIoU'] == pytest.approx(100 * np.nanmean(ious), abs=0.01)
    assert len(list((out / 'worst').iterdir())) == 2


def test_pixels_without_a_class_do_not_count(analyze, tiny_shapes, tmp_path):
    masks = tmp_path / 'masks'
    masks.mkdir()
    for file in (tiny_shapes / 'SegmentationClass').glob('*.png'):
        mask = np.asarray(Image.open(file)).copy()
        mask[: len(mask) // 2] = 255
        Image.fromarray(mask).save(masks / file.name)
    prefix = 'test_dataloader.dataset.data_prefix.seg_map_path'
    _, rows, out, _ = analyze('seg', options={prefix: str(masks)})
    half = sum(
        (image.height - image.height // 2) * image.width
        for image in (Image.open(masks / f'{row["image"].split("/")[-1][:-4]}.png') for row in rows)
    )
    assert confusion_of(out)[0].sum() == half


def test_detection_is_ranked_and_its_errors_add_up(analyze, tiny_shapes):
    content, rows, out, _ = analyze('det', score=0.1)
    counts, told = confusion_of(out)
    annotations = json.loads((tiny_shapes / 'coco/instances_val.json').read_text())
    labels = [one['category_id'] - 1 for one in annotations['annotations']]
    assert counts[:-1].sum(1).tolist() == np.bincount(labels, minlength=len(counts) - 1).tolist()
    assert told['classes'][-1] == 'background' and counts[-1, -1] == 0
    for row in rows:
        right, objects, missed = (int(row[key]) for key in ('right', 'objects', 'missed'))
        false = sum(int(row[key]) for key in ('class', 'twice', 'loose', 'background'))
        false += int(row['loose_and_class'])
        assert float(row['measure']) == pytest.approx(
            2 * right / (objects + right + false), abs=1e-5
        )
        assert right + missed <= objects
    assert np.trace(counts) == sum(int(row['right']) for row in rows)
    for kind in ('bbox', 'segm'):
        for name, key in (('C50', 'mAP_50'), ('C75', 'mAP_75')):
            area = content['coco_errors'][kind]['areas']['all'][name]
            assert area == pytest.approx(content['metrics'][f'coco/{kind}_{key}'], abs=5e-4)
        assert (out / f'errors_{kind}.png').is_file() and (out / f'errors_{kind}.csv').is_file()
    page = (out / 'report.html').read_text()
    assert f'the {counts[:-1, -1].sum():,} objects that no detection found' in page
    assert f'the {counts[-1].sum():,} false detections' in page
    assert any('Sim' in note for note in content['notes'])  # shapes have no supercategories


def test_depth_is_ranked_by_relative_error(analyze):
    content, rows, out, _ = analyze('depth', number=2, split='val')
    mean = np.mean([float(row['measure']) for row in rows])
    assert mean == pytest.approx(content['metrics']['abs_rel'], abs=1e-5)
    assert not (out / 'confusion.json').exists() and content['split'] == 'val'
    assert any('no confusion matrix' in note for note in content['notes'])


def test_several_labels_are_counted_by_class():
    truth = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]])
    scores = np.array([[0.9, 0.6, 0.2], [0.8, 0.1, 0.7], [0.7, 0.1, 0.1], [0.1, 0.2, 0.3]])
    task, records = SeveralLabels(['a', 'b', 'c'], 0.5), []
    for n in range(4):
        sample = DataSample().set_gt_label(torch.tensor(truth[n].nonzero()[0]))
        sample = sample.set_pred_score(torch.tensor(scores[n], dtype=torch.float32)).to_dict()
        records.append({**task.read(sample), 'path': str(n)})
    found = task.analyse(records)
    loss = -(truth * np.log(scores) + (1 - truth) * np.log(1 - scores)).mean(1)
    assert [one['path'] for one in found.ranked] == np.argsort(-loss).astype(str).tolist()
    assert [one['value'] for one in found.ranked] == pytest.approx(sorted(loss, reverse=True))
    told = {one['class']: one for one in found.content['classes']}
    # By hand: images 0, 1, 2 score for a in this order of truth: right, wrong, right.
    assert told['a']['AP'] == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert [told['a'][key] for key in ('images', 'right', 'missed', 'false')] == [2, 2, 0, 1]
    assert told['b']['AP'] is None and told['b']['false'] == 1 and told['b']['recall'] is None
    assert told['c']['missed'] == 1 and found.confusion is None
    assert found.ranked[0]['row']['missed'] == 'c 0.20'


def test_maps_are_kept_of_the_worst_images_only():
    class Told:
        def read(self, sample):
            return {'cost': sample['cost'], 'kept': 'a map'}

    records = Records(Told(), 2)
    costs = [0.3, 0.9, 0.1, 0.5, 0.7]
    records.process(None, [{'cost': cost} for cost in costs[:2]])
    records.process(None, [{'cost': cost} for cost in costs[2:]])
    kept = [one['cost'] for one in records.results if 'kept' in one]
    assert kept == [0.9, 0.7] and [one['cost'] for one in records.results] == costs


def test_other_classes_than_the_models_are_an_error(trained, analyze, tmp_path):
    def rename(content):
        content['meta']['dataset_meta']['classes'] = (
            'square',
            *content['meta']['dataset_meta']['classes'][1:],
        )

    other = change(trained('cls'), tmp_path / 'renamed.pth', rename)
    with pytest.raises(ConfigError, match="class 0 is 'square' there and 'c"):
        analyze('cls', other)
    assert not (tmp_path / 'analysis').exists()  # nor was anything built
    with pytest.raises(WeightsError, match='checkpoint of another model'):
        analyze('cls', trained('seg'))


def test_a_published_model_on_data_that_lies_elsewhere(analyze, trained, tiny_shapes, tmp_path):
    folder = publish(trained('det'), tmp_path / 'published')
    moved = tmp_path / 'moved'
    moved.symlink_to(tiny_shapes)
    options = {'data_root': str(moved)}
    _, rows, *_ = analyze('det', folder, config=folder, number=1, options=options)
    assert rows and all(row['image'].startswith(f'{moved}/') for row in rows)
    with pytest.raises(VitmmError, match=r'/gone; the config names it by data_root: set'):
        analyze('det', folder, config=folder, options={'data_root': str(tmp_path / 'gone')})
    place = {'test_dataloader.dataset.data_root': str(tmp_path / 'gone')}
    with pytest.raises(VitmmError, match=r'names it by test_dataloader\.dataset\.data_root: set'):
        analyze('det', folder, config=folder, options=place)


def test_a_test_set_without_annotations_is_an_error(analyze, tiny_shapes, tmp_path):
    content = json.loads((tiny_shapes / 'coco/instances_val.json').read_text())
    for name, change_it in (
        ('annotations', dict(annotations=[])),
        ('images', dict(annotations=[], images=[])),
    ):
        file = tmp_path / f'{name}.json'
        file.write_text(json.dumps({**content, **change_it}))
        options = {
            'test_dataloader.dataset.ann_file': str(file),
            'test_evaluator.ann_file': str(file),
        }
        with pytest.raises(VitmmError, match=f'no {name}|{name}\\.json'):
            analyze('det', options=options)


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(number=0), '--number is 1 or more'),
        (dict(score=2), '--score is 0 to 1'),
        (dict(iou=0), '--iou is above 0'),
        (dict(split='train'), "'val' or 'test'"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_read(settings, message, tmp_path):
    settings = {'checkpoint': 'none.pth', 'out': tmp_path / 'out', **settings}
    with pytest.raises(ConfigError, match=message):
        analyze_predictions(CONFIGS / 'cls/vit_linear.py', **settings)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'words, message',
    [
        (['cls/vit_linear.py'], 'give a checkpoint after'),
        (['mim/vit_mae.py', 'none.pth'], 'no test_dataloader: there is nothing to compare'),
        (['cls/vit_linear.py', 'gone.pth'], 'gone.pth does not exist'),
    ],
)
def test_the_tool_says_what_it_cannot_do(words, message, tiny_options, tmp_path, monkeypatch):
    words = ['tool', str(CONFIGS / words[0]), *words[1:], '--out', str(tmp_path / 'out')]
    words += ['--cfg-options', f'data_root={tiny_options["data_root"]}', 'prepare_data=None']
    words += ['model.backbone.model_name=test_vit']
    monkeypatch.setattr('sys.argv', words)
    with pytest.raises(SystemExit, match=message):
        load_tool('analyze_predictions').main()
