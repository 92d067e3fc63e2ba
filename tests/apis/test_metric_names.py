"""The names are those that the metrics themselves give, for results that need no data."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import METRICS

from vitmm.apis.metric_names import (
    metric_names,
    missing_metric,
    refuse_unknown_metrics,
    unknown_metrics,
)
from vitmm.errors import ConfigError


def names_given(settings):
    metric = METRICS.build(settings)
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    kind = type(metric).__name__
    if kind == 'IoUMetric':
        results = [tuple(torch.tensor([2.0, 3.0, 4.0]) for _ in range(4))]
    elif kind == 'DepthMetric':
        results = [(torch.full((16,), 2.0), torch.full((16,), 3.0))]
    elif kind in ('MultiLabelMetric', 'AveragePrecision'):
        results = [dict(gt_score=torch.eye(3)[n], pred_score=torch.rand(3)) for n in range(3)]
    else:
        results = [
            dict(gt_label=torch.tensor([n]), pred_score=torch.rand(3), num_classes=3)
            for n in range(3)
        ]
    prefix = f'{metric.prefix}/' if metric.prefix else ''
    return {f'{prefix}{name}' for name in metric.compute_metrics(results)}


@pytest.mark.parametrize(
    'settings',
    [
        dict(type='mmpretrain.Accuracy', topk=(1, 2)),
        dict(type='vitmm.Accuracy', topk=1, thrs=(0.0, 0.5, None)),
        dict(type='mmpretrain.SingleLabelMetric'),
        dict(type='mmpretrain.SingleLabelMetric', average='micro', items=('precision',)),
        dict(type='mmpretrain.SingleLabelMetric', average=None, thrs=(0.1, 0.5)),
        dict(type='mmpretrain.MultiLabelMetric', thr=0.5),
        dict(type='mmpretrain.MultiLabelMetric', thr=0.3, average='micro'),
        dict(type='mmpretrain.MultiLabelMetric', topk=2, average=None, prefix='mine'),
        dict(type='mmpretrain.AveragePrecision'),
        dict(type='mmpretrain.AveragePrecision', average=None),
        dict(type='mmseg.IoUMetric'),
        dict(type='mmseg.IoUMetric', iou_metrics=['mDice', 'mFscore']),
        dict(type='mmseg.DepthMetric'),
    ],
    ids=str,
)
def test_they_are_those_that_are_given(settings):
    known = metric_names(dict(val_evaluator=settings, default_scope='mmengine'))
    assert set(known) == names_given(settings)


def test_of_a_metric_that_nobody_knows_nothing_is_said():
    config = dict(
        val_evaluator=[dict(type='mmseg.IoUMetric'), dict(type='mmpretrain.ConfusionMatrix')],
        default_hooks=dict(checkpoint=dict(save_best='anything')),
    )
    assert metric_names(config) is None and not list(unknown_metrics(config))
    config['val_evaluator'].pop()
    assert [key for key, *_ in unknown_metrics(config)] == [
        ('default_hooks', 'checkpoint', 'save_best')
    ]


def test_what_a_validation_has_not_given_is_said():
    config = Config(dict(default_hooks=dict(checkpoint=dict(save_best='mIou'))))

    def save_best(metrics):
        return metrics['mIou']

    with pytest.raises(KeyError) as caught:
        save_best({'aAcc': 1, 'mIoU': 2})
    said = missing_metric(config, caught.value)
    assert said.startswith("default_hooks.checkpoint.save_best: the validation gives no 'mIou'")
    assert 'aAcc, mIoU. Did you mean mIoU' in said
    assert missing_metric(config, KeyError('mIou')) is None
    assert missing_metric(config, ValueError('mIou')) is None


@pytest.mark.parametrize('split', ['val', 'test'])
def test_masks_that_the_model_does_not_predict_are_refused(split):
    evaluator = dict(type='CocoMetric', metric=['bbox', 'segm'])
    config = dict(default_scope='mmdet', model=dict(type='RetinaNet'))
    refuse_unknown_metrics(Config({**config, f'{split}_evaluator': dict(evaluator, metric='bbox')}))
    with pytest.raises(ConfigError, match=rf"^{split}_evaluator: metric asks for 'segm'"):
        refuse_unknown_metrics(Config({**config, f'{split}_evaluator': evaluator}))
