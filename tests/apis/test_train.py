"""Training, resuming and testing through vitmm.apis, on a dozen images."""

import shutil
from pathlib import Path

import pytest
import torch
from families import FAMILIES
from support import BACKBONES, CONFIGS, UNSAVED

from vitmm.apis.launch import build_runner, prepare
from vitmm.apis.report import summarize
from vitmm.apis.scalars import last_scores
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.errors import ConfigError, VitmmError

STARTERS = {
    'det': CONFIGS / 'det' / 'vit_retinanet.py',
    'seg': CONFIGS / 'seg' / 'vit_upernet.py',
    'cls': CONFIGS / 'cls' / 'vit_linear.py',
}
SMALL = {
    # A detector that has hardly learnt finds nothing above the usual threshold.
    'det': {'image_scale': (96, 96), 'model.test_cfg.score_thr': 0.0},
    'seg': {'image_scale': (96, 96), 'crop_size': (96, 96)},
    'cls': {'image_size': 64, 'resize_edge': 64},
}


# One model of every model file of timm takes about an hour.
SWAPS = [*BACKBONES, *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES)]


@pytest.mark.parametrize('task', STARTERS)
@pytest.mark.parametrize('name', SWAPS)
def test_one_line_swaps_the_backbone(task, name, tiny_options, tmp_path):
    options = {**tiny_options, **SMALL[task], **UNSAVED, 'model.backbone.model_name': name}
    runner = train(STARTERS[task], work_dir=tmp_path, options=options)
    scores = last_scores(runner_log(runner))
    assert scores, 'no validation'
    assert all(value == value for value in scores.values())  # no NaN
    assert runner.model.backbone.model_name == name
    assert 'no checkpoint was saved' in summarize(runner, STARTERS[task])


def runner_log(runner):
    return Path(runner._log_dir) / 'vis_data' / 'scalars.json'


@pytest.mark.parametrize('task', STARTERS)
def test_testing_gives_the_last_validations_figures(task, tiny_options, tmp_path):
    options = {**tiny_options, **SMALL[task]}
    runner = train(STARTERS[task], work_dir=tmp_path / 'train', options=options)
    last = (tmp_path / 'train' / 'last_checkpoint').read_text()
    figures = last_scores(runner_log(runner))
    dumped = tmp_path / 'train' / STARTERS[task].name
    tested = evaluate(
        dumped,
        last,
        work_dir=tmp_path / 'test',
        show_dir=tmp_path / 'shown',
        show_interval=2,
        out=tmp_path / 'out.pkl',
    )
    # JSON keeps every digit of a float.
    assert {k: float(tested[k]) for k in figures} == figures
    shown = list((tmp_path / 'shown').rglob('*.[jp][pn]g'))
    batches = len(runner.val_dataloader)
    assert len(shown) == -(-batches // 2)
    assert (tmp_path / 'out.pkl').stat().st_size
    text = summarize(runner, STARTERS[task])
    assert str(tmp_path / 'train') in text
    assert 'best checkpoint' in text
    events = list((tmp_path / 'train').rglob('events.out.tfevents*'))
    assert events, 'no TensorBoard log'


@pytest.mark.parametrize('task', STARTERS)
def test_test_time_augmentation_runs(task, tiny_options, tmp_path):
    options = {**tiny_options, **SMALL[task]}
    train(STARTERS[task], work_dir=tmp_path, options=options)
    last = (tmp_path / 'last_checkpoint').read_text()
    scores = evaluate(tmp_path / STARTERS[task].name, last, work_dir=tmp_path / 'tta', tta=True)
    assert scores


def test_test_time_augmentation_of_masks_is_refused(tiny_options, tmp_path):
    recipe = CONFIGS / 'det' / 'convnext_mask_rcnn.py'
    with pytest.raises(ConfigError, match='not the masks'):
        evaluate(recipe, 'any.pth', work_dir=tmp_path, tta=True, options=tiny_options)


def test_two_epochs_resumed_to_four_are_four_epochs(tiny_options, tmp_path):
    options = {
        **tiny_options,
        **SMALL['det'],
        'train_cfg.max_epochs': 4,
        'train_dataloader.num_workers': 2,  # their random numbers must repeat too
        'model.backbone.drop_path_rate': 0.2,
        'default_hooks.checkpoint.max_keep_ckpts': 4,
    }
    train(STARTERS['det'], work_dir=tmp_path / 'straight', options=options)
    # What a run that was killed in its third epoch leaves behind.
    (tmp_path / 'broken').mkdir()
    shutil.copy(tmp_path / 'straight' / 'epoch_2.pth', tmp_path / 'broken')
    runner = train(STARTERS['det'], work_dir=tmp_path / 'broken', resume=True, options=options)
    assert runner.epoch == 4
    straight = torch.load(tmp_path / 'straight' / 'epoch_4.pth')
    resumed = torch.load(tmp_path / 'broken' / 'epoch_4.pth')
    third = torch.load(tmp_path / 'straight' / 'epoch_3.pth')
    for name, value in straight['state_dict'].items():
        assert torch.equal(value, resumed['state_dict'][name]), name
    name = 'backbone.model.blocks.0.attn.qkv.weight'
    assert not torch.equal(third['state_dict'][name], straight['state_dict'][name])


def test_pretrained_weights_survive_the_runners_initialisation(tiny_options, tmp_path):
    import timm
    from mmengine.hooks import Hook
    from mmengine.registry import HOOKS

    torch.manual_seed(9)
    donor = timm.create_model('vit_tiny_patch16_224').state_dict()
    torch.save(donor, tmp_path / 'donor.pth')
    seen = []

    @HOOKS.register_module(force=True)
    class LookBeforeTheFirstStep(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 0:
                seen.append({k: v.clone() for k, v in runner.model.backbone.state_dict().items()})

    options = {
        **tiny_options,
        **SMALL['cls'],
        'model.backbone.pretrained': str(tmp_path / 'donor.pth'),
        'custom_hooks': [dict(type='LookBeforeTheFirstStep')],
    }
    runner = train(STARTERS['cls'], work_dir=tmp_path / 'w', options=options)
    (first,) = seen
    for key, value in first.items():
        assert torch.equal(value, donor[key.removeprefix('model.')]), key
    trained = runner.model.backbone.state_dict()
    assert not torch.equal(
        trained['model.blocks.0.attn.qkv.weight'], donor['blocks.0.attn.qkv.weight']
    )


def test_frozen_backbone_stays_while_the_head_learns(tiny_options, tmp_path):
    options = {
        **tiny_options,
        **SMALL['cls'],
        'model.backbone.frozen_groups': 'all',
        'param_scheduler': [],
    }
    runner = train(STARTERS['cls'], work_dir=tmp_path, options=options)
    assert not any(p.requires_grad for p in runner.model.backbone.parameters())
    optimised = {id(p) for g in runner.optim_wrapper.param_groups for p in g['params']}
    assert id(runner.model.head.fc.weight) in optimised


@pytest.mark.parametrize(
    ('task', 'data', 'more'),
    [
        (
            'det',
            'voc',
            {
                'train_list': 'ImageSets/Main/train.txt',
                'val_list': 'ImageSets/Main/val.txt',
                'train_prefix': '',
                'val_prefix': '',
                'train_dataloader.dataset.filter_cfg.min_size': 1,
            },
        ),
        ('seg', 'folder', {'train_images': 'JPEGImages', 'val_images': 'JPEGImages'}),
        ('cls', 'imagefolder', {}),
    ],
)
def test_your_own_data_in_every_format(task, data, more, tiny_options, tiny_shapes, tmp_path):
    root = tiny_shapes / 'imagefolder' if task == 'cls' else tiny_shapes
    options = {k: v for k, v in tiny_options.items() if k != 'prepare_data'}
    options |= {**SMALL[task], **more, 'data_root': str(root)}
    if data == 'folder':
        options |= {'train_masks': 'SegmentationClass', 'val_masks': 'SegmentationClass'}
    runner = train(STARTERS[task], work_dir=tmp_path, data=data, options=options)
    assert last_scores(runner_log(runner))
    classes = runner.train_dataloader.dataset.metainfo['classes']
    assert list(classes)[-1] in ('ring', 'triangle')  # of the data: in its order, or sorted


def test_masks_of_your_own(tiny_options, tiny_shapes, tmp_path):
    options = {k: v for k, v in tiny_options.items() if k != 'prepare_data'}
    options |= {
        **UNSAVED,
        'train_ann': 'coco/instances_train.json',
        'val_ann': 'coco/instances_val.json',
        'train_images': 'JPEGImages/',
        'val_images': 'JPEGImages/',
        'image_scale': (96, 96),
        'train_dataloader.dataset.filter_cfg.min_size': 1,
    }
    recipe = CONFIGS / 'det' / 'convnext_mask_rcnn.py'
    runner = train(recipe, work_dir=tmp_path, data='coco', options=options)
    assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= set(last_scores(runner_log(runner)))
    with pytest.raises(VitmmError, match="VOC's XML files have boxes only"):
        lists = {f'{split}_list': f'ImageSets/Main/{split}.txt' for split in ('train', 'val')}
        lists |= {'train_prefix': '', 'val_prefix': '', 'data_root': str(tiny_shapes)}
        train(recipe, work_dir=tmp_path, data='voc', options=lists)


def test_a_head_without_a_place_for_a_class_is_named(tiny_options, tmp_path):
    options = {
        **tiny_options,
        'image_size': 32,
        'resize_edge': 32,
        'model.backbone.model_name': 'test_resnet',
        'model.head.num_classes': 2,
    }
    with pytest.raises(ConfigError, match=r'data has 6 classes, and model\.head has 2'):
        train(CONFIGS / 'cls' / 'vit_linear.py', work_dir=tmp_path, options=options)


def test_two_runs_that_begin_in_the_same_second_share_nothing(tiny_options, tmp_path, monkeypatch):
    monkeypatch.setattr('time.strftime', lambda *_: '20260101_000000')
    runners = []
    for name in ('a', 'b'):
        config = prepare(STARTERS['cls'], options=tiny_options, work_dir=tmp_path / name)
        runners.append(build_runner(config))
    a, b = runners
    assert a.visualizer is not b.visualizer
    assert a.message_hub is not b.message_hub
    for runner in runners:
        for backend in runner.visualizer._vis_backends.values():
            assert str(backend._save_dir).startswith(str(runner.work_dir))


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU is there, which can')
def test_batch_norms_that_share_what_processors_cannot(tiny_options, tmp_path, monkeypatch):
    def prepared(*args, **kwargs):
        config = prepare(*args, **kwargs)
        config.launcher = 'pytorch'
        return config

    monkeypatch.setattr('vitmm.apis.train.prepare', prepared)
    options = {**tiny_options, 'sync_bn': 'torch'}
    with pytest.raises(ConfigError, match=r"sync_bn='torch': .* on GPUs only, .* sync_bn=None"):
        train(STARTERS['cls'], work_dir=tmp_path, options=options)
