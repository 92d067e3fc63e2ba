"""Masked autoencoders: what the encoder sees, what is learnt, and what becomes of it."""

import pytest
import timm
import torch
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample
from support import CONFIGS, fitting

from vitmm.apis.report import summarize
from vitmm.apis.train import train
from vitmm.config import load_config, resolve
from vitmm.errors import BackboneError, ConfigError
from vitmm.models import MaskedTimmBackbone, TimmBackbone

RECIPE = CONFIGS / 'mim' / 'vit_mae.py'
TINY = dict(depth=2)
# With a class token, with two, with registers, with rotations, and with none of them.
PLAIN = [
    'vit_tiny_patch16_224',
    'deit_tiny_distilled_patch16_224',
    'vit_small_patch14_reg4_dinov2',
    'vit_small_patch16_dinov3',
    'vit_medium_patch16_gap_256',
]


def encoder(name='vit_tiny_patch16_224', **settings):
    torch.manual_seed(0)
    built = MaskedTimmBackbone(name, model_kwargs=dict(TINY), **settings)
    built.init_weights()
    return built.eval()


@pytest.mark.parametrize('name', PLAIN)
def test_masked_pixels_do_not_reach_the_encoder(name):
    backbone = encoder(name)
    patch = backbone.strides[0]
    images = torch.randn(2, 3, 4 * patch, 6 * patch)
    torch.manual_seed(1)
    tokens, mask, _ = backbone(images)
    assert tokens.shape == (2, 1 + 6, backbone.channels[0])
    assert mask.shape == (2, 24) and (mask.sum(1) == 18).all()
    # Other pixels where the mask is 1; and, to see that the test can fail, where it is 0.
    for hidden, same in ((1, True), (0, False)):
        where = (mask == hidden).view(2, 1, 4, 6)
        where = where.repeat_interleave(patch, 2).repeat_interleave(patch, 3)
        changed = torch.where(where, torch.randn_like(images), images)
        torch.manual_seed(1)
        other, again, _ = backbone(changed)
        assert torch.equal(mask, again)
        assert torch.equal(tokens, other) is same


@pytest.mark.parametrize('name', PLAIN)
def test_all_patches_kept_are_timms_own_features(name):
    """With nothing left out, in any order, patches come out as from timm's forward_features."""
    backbone = encoder(name, mask_ratio=1e-6)
    backbone.model.patch_drop.ratio = 0.0
    size = 6 * backbone.strides[0]
    images = torch.randn(2, 3, size, size)
    tokens, _, restore = backbone(images)
    places = restore[..., None].expand(-1, -1, tokens.shape[-1])
    found = tokens[:, 1:].gather(1, places)
    own = timm.create_model(name, num_classes=0, dynamic_img_size=True, **TINY).eval()
    own.load_state_dict(backbone.model.state_dict(), strict=False)
    with torch.no_grad():
        features = own.patch_embed(images)  # fc_norm, where a model has that, is not in the maps
        expected = own.forward_features(images)[:, own.num_prefix_tokens :]
    assert features.shape[1:3] == (6, 6)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_without_a_mask_it_is_the_plain_backbone():
    backbone = encoder()
    plain = TimmBackbone(
        'vit_tiny_patch16_224', model_kwargs=dict(TINY), out_indices=[-1], out_norm='final'
    ).eval()
    plain.load_state_dict(backbone.state_dict())  # all of its keys, and no more
    images = torch.randn(1, 3, 64, 48)
    assert torch.equal(backbone(images, mask=None)[0], plain(images)[0])


@pytest.mark.parametrize(('size', 'rows', 'columns'), [(224, 14, 14), ((64, 96), 4, 6)])
def test_position_embeddings_are_fixed_waves(size, rows, columns):
    backbone = MaskedTimmBackbone('vit_tiny_patch16_224', model_kwargs=dict(img_size=size, **TINY))
    backbone.init_weights()
    table = backbone.model.pos_embed
    assert not table.requires_grad
    assert not table[:, :1].any()
    grid = table[0, 1:].view(rows, columns, 192)
    # One half of the channels tells the row alone, the other the column alone.
    halves = grid[..., :96], grid[..., 96:]
    along = [(half[:1] == half).all().item() for half in halves]
    across = [(half[:, :1] == half).all().item() for half in halves]
    assert sorted(along) == sorted(across) == [False, True] and along != across
    assert len(table[0].unique(dim=0)) == rows * columns + 1


def test_rotations_need_no_position_embeddings():
    rotary = MaskedTimmBackbone('vit_small_patch16_dinov3', model_kwargs=dict(TINY))
    rotary.init_weights()  # which has no table


@pytest.mark.parametrize(
    ('name', 'settings', 'words'),
    [
        ('resnet18', {}, 'cannot leave patches out'),
        ('vit_tiny_r_s16_p8_224', {}, 'patches that do not overlap'),
        ('vit_tiny_patch16_224', dict(mask_ratio=1.0), 'less than 1'),
        ('vit_tiny_patch16_224', dict(window_size=7), r'backbone\.window_size'),
        ('vit_tiny_patch16_224', dict(output='pooled'), r'backbone\.output'),
    ],
)
def test_what_cannot_be_masked_is_refused(name, settings, words):
    with pytest.raises(BackboneError, match=words):
        MaskedTimmBackbone(name, **settings)


def test_images_of_broken_patches_are_refused():
    config = resolve(load_config(RECIPE, options={'image_size': 100, 'prepare_data': None}))
    with pytest.raises(ConfigError, match='take 96'):
        MODELS.build(config.model)


def test_the_loss_on_one_batch_falls():
    torch.manual_seed(0)
    options = {'prepare_data': None, 'model.backbone.model_kwargs.depth': 2}
    config = resolve(load_config(RECIPE, options=options))
    init_default_scope('mmpretrain')
    model = MODELS.build(config.model)
    model.init_weights()
    ramp = torch.linspace(-1, 1, 96).expand(96, 96)
    images = torch.stack([ramp, ramp.T, -ramp, -ramp.T])[:, None].expand(-1, 3, -1, -1)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(40):
        loss = model(images, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # The targets have variance 1 in each patch: what knows nothing has a loss of 1.
    assert sum(losses[-5:]) / 5 < 0.1 < 0.95 < losses[0]
    learning = [n for n, p in model.named_parameters() if p.requires_grad]
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert 'backbone.model.norm.weight' in learning


def test_a_run_becomes_the_backbone_of_another_task(tiny_options, tmp_path):
    options = fitting(tiny_options, RECIPE) | {
        'model.backbone.model_kwargs.depth': 2,
        'image_size': 32,
    }
    runner = train(RECIPE, work_dir=tmp_path, options=options)
    checkpoint = tmp_path / 'epoch_1.pth'
    trained = torch.load(checkpoint, weights_only=True)['state_dict']
    assert 'tools/test.py' not in summarize(runner, RECIPE)
    for task in ('cls/vit_linear', 'seg/vit_fcn', 'det/vit_retinanet'):
        more = {
            'model.backbone.model_kwargs.depth': 2,
            'model.backbone.pretrained': str(checkpoint),
        }
        config = resolve(load_config(CONFIGS / f'{task}.py', options=tiny_options | more))
        backbone = MODELS.build(config.model.backbone)
        backbone.init_weights()
        state = backbone.state_dict()
        assert len(state) > 25
        for key, value in state.items():
            assert torch.equal(value, trained[f'backbone.{key}']), key


def test_pretraining_takes_any_folder_of_images_and_any_channels():
    options = {'image_size': 64, 'model.backbone.in_chans': 4}
    config = load_config(RECIPE, data='folder', options=options)
    assert 'prepare_data' not in config
    init_default_scope('mmpretrain')
    model = MODELS.build(resolve(config).model)
    pixels = torch.randint(256, (2, 4, 64, 64), dtype=torch.uint8)
    samples = [DataSample() for _ in pixels]
    batch = model.data_preprocessor(dict(inputs=list(pixels), data_samples=samples))
    assert batch['inputs'].shape == (2, 4, 64, 64) and batch['inputs'].abs().max() < 3
    assert model(**batch, mode='loss')['loss'].isfinite()
