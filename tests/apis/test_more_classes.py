"""A head with more classes than the data: what it predicts of them is wrong, and stops nothing."""

import csv
import json

import pytest
import torch
from predictions import change, config_of
from support import CONFIGS

from vitmm.apis.inference import infer
from vitmm.apis.predictions.analyze import analyze_predictions
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train

SURPLUS = 8  # the label that is predicted everywhere; the data has 0 to 5, or to 6
CASES = {
    'cls': ('cls/vit_linear', ['model.head.num_classes'], 'head.fc.bias'),
    'det': ('det/vit_retinanet', ['model.bbox_head.num_classes'], 'bbox_head.retina_cls.bias'),
    'seg': (
        'seg/vit_fcn', ['model.decode_head.num_classes'], 'decode_head.conv_seg.bias'),
}  # fmt: skip


@pytest.fixture(scope='module', params=CASES)
def surplus(request, tiny_shapes, tmp_path_factory):
    """A task, a checkpoint that predicts no class of the data, and its config."""
    name, heads, bias = CASES[request.param]
    folder = tmp_path_factory.mktemp('more')
    options = {
        'data_root': str(tiny_shapes),
        'prepare_data': None,
        'model.backbone.model_name': 'test_vit',
        'train_cfg.max_epochs': 1,
        'train_dataloader.num_workers': 0,
        'val_dataloader.num_workers': 0,
        'train_dataloader.dataset.indices': 4,
        **dict.fromkeys(heads, 9),
    }
    train(CONFIGS / f'{name}.py', work_dir=folder, options=options)

    def prefer(content):
        for state in [content['state_dict'], *filter(None, [content.get('ema_state_dict')])]:
            for key in state:
                if key.endswith(bias):
                    state[key].view(-1, 9)[:, SURPLUS] += 1000.0

    odd = change(next(folder.glob('epoch_*.pth')), folder / 'odd.pth', prefer)
    return request.param, odd, config_of(odd)


def test_tests_count_it_as_wrong(surplus, tmp_path):
    task, checkpoint, config = surplus
    scores = evaluate(config, checkpoint, work_dir=tmp_path)
    name = {'cls': 'accuracy/top1', 'det': 'coco/bbox_mAP', 'seg': 'mIoU'}[task]
    assert scores[name] == 0


def test_analyses_show_it(surplus, tmp_path):
    task, checkpoint, config = surplus
    analyze_predictions(config, checkpoint, out=tmp_path / 'out')
    content = json.loads((tmp_path / 'out/confusion.json').read_text())
    counts = torch.tensor(content['counts'])
    if task == 'det':
        assert counts[:, :-1].sum() == 0 < counts[:, -1].sum()  # all are missed
    else:
        assert content['classes'][SURPLUS] == f'class {SURPLUS}'
        assert counts.sum() == counts[:, SURPLUS].sum() > 0


def test_results_name_it(surplus, tiny_shapes, tmp_path):
    task, checkpoint, _ = surplus
    image = min((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    formats = ['csv', 'pictures', *([] if task == 'cls' else ['coco'])]
    infer(checkpoint, image, tmp_path / 'out', formats=formats)
    rows = list(csv.DictReader((tmp_path / 'out/results.csv').open()))
    assert rows and all(f'class {SURPLUS}' in row.values() for row in rows), (task, rows)
