"""Windowed attention is the plain model's under a mask that hides all other windows."""

import copy

import pytest
import timm
import torch
from torch.nn import functional as F

from vitmm.errors import BackboneError
from vitmm.models import TimmBackbone
from vitmm.models.backbones import windows

VIT = dict(depth=2, embed_dim=48, num_heads=3)
# A name, settings that make it small, and patch: absolute positions and no class token or one,
# DeiT with two, registers, rotations, rotations for each head, biases by tables or by an MLP.
MODELS = {
    'vit_base_patch16_224': (VIT, 16),
    'vit_base_patch16_gap_224': (VIT, 16),
    'deit_tiny_distilled_patch16_224': (VIT, 16),
    'vit_small_patch14_dinov2': ({**VIT, 'img_size': 70}, 14),
    'vit_small_patch14_reg4_dinov2': ({**VIT, 'img_size': 70}, 14),
    'vit_small_patch16_dinov3': (VIT, 16),
    'eva02_tiny_patch14_224': (VIT, 14),
    'vit_small_patch16_rope_mixed_224': (VIT, 16),
    'beit_base_patch16_224': ({**VIT, 'img_size': (80, 112)}, 16),
    'vit_relpos_small_patch16_224': ({**VIT, 'img_size': (80, 112)}, 16),
    'vit_relpos_small_patch16_rpn_224': ({**VIT, 'img_size': (80, 112)}, 16),
}  # fmt: skip
GRID = (5, 7)


def images_for(patch, grid=GRID, count=2):
    return torch.randn(count, 3, grid[0] * patch, grid[1] * patch, dtype=torch.float64)


def shaken(backbone):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.ndim == 1 or parameter.shape[-1] == 3:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
            else:
                parameter.mul_(3)
    return backbone.double().eval()


def make(name, **settings):
    torch.manual_seed(0)
    kwargs, _ = MODELS[name]
    return shaken(TimmBackbone(name, model_kwargs=kwargs, **settings))


def mask_for(grid, size, prefix):
    """Whether a token sees another: in the same window, or either is of the prefix."""
    rows, columns = (torch.arange(side) // size for side in grid)
    window = (rows[:, None] * 100 + columns).flatten()
    seen = window[:, None] == window
    return F.pad(seen, (prefix, 0, prefix, 0), value=True)


def hide(monkeypatch, model, mask):
    """Make every attention of a plain timm model see by ``mask``, whatever else it is given."""
    plain = F.scaled_dot_product_attention

    def masked(q, k, v, attn_mask=None, **kwargs):
        hidden = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, -torch.inf)
        return plain(q, k, v, attn_mask=hidden if attn_mask is None else attn_mask + hidden)

    monkeypatch.setattr(F, 'scaled_dot_product_attention', masked)
    assert all(block.attn.fused_attn for block in model.blocks)


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('size', [2, 3, 5])
def test_one_windowed_block_is_a_masked_one(name, size, monkeypatch):
    patch = MODELS[name][1]
    settings = dict(out_indices=(0,))
    images = images_for(patch)
    windowed = make(name, window_size=size, global_blocks=0, **settings)
    (found,) = windowed(images)

    plain = make(name, **settings)
    (whole,) = plain(images)
    prefix = getattr(plain.model, 'num_prefix_tokens', 0)
    hide(monkeypatch, plain.model, mask_for(GRID, size, prefix))
    (expected,) = plain(images)
    torch.testing.assert_close(found, expected)
    assert (whole - expected).abs().max() > 1e-3


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('size', [7, 50])
def test_one_window_that_covers_the_map_changes_nothing(name, size):
    images = images_for(MODELS[name][1])
    expected = make(name)(images)
    windowed = make(name, window_size=size, global_blocks=0)
    for found, wanted in zip(windowed(images), expected, strict=True):
        assert torch.equal(found, wanted)


def test_prefix_tokens_are_averaged_by_the_windows_sizes():
    backbone = make('deit_tiny_distilled_patch16_224', window_size=3, global_blocks=0)
    attention = backbone.model.blocks[0].attn
    tokens = torch.randn(2, 2 + 35, 48, dtype=torch.float64)
    backbone._windows.grid = GRID
    found = attention(tokens)
    plain = type(attention).forward
    cells = tokens[:, 2:].reshape(2, 5, 7, 48)
    expected = 0
    for top in (0, 3):
        for left in (0, 3, 6):
            part = cells[:, top : top + 3, left : left + 3]
            count = part.shape[1] * part.shape[2]
            part = torch.cat([tokens[:, :2], part.reshape(2, count, 48)], 1)
            expected = expected + count / 35 * plain(attention, part)[:, :2]
    torch.testing.assert_close(found[:, :2], expected)


@pytest.mark.parametrize(
    'blocks, whole',
    [(4, {2, 5, 8, 11}), (3, {3, 7, 11}), (0, set()), (12, set(range(12))), ((0, -1), {0, 11})],
)
def test_which_blocks_look_at_the_whole_map(blocks, whole):
    backbone = TimmBackbone(
        'vit_tiny_patch16_224',
        model_kwargs=dict(embed_dim=48),
        window_size=2,
        global_blocks=blocks,
    ).eval()
    seen = []
    for block in backbone.model.blocks:
        block.attn.qkv.register_forward_pre_hook(lambda _, args: seen[-1].append(args[0].shape[1]))
        block.register_forward_pre_hook(lambda *_: seen.append([]))
    backbone(torch.randn(1, 3, 64, 96))
    assert {i for i, lengths in enumerate(seen) if lengths == [1 + 24]} == whole
    assert all(lengths == [1 + 4] for i, lengths in enumerate(seen) if i not in whole)


@pytest.mark.parametrize('name', ['vit_base_patch16_224', 'vit_small_patch16_dinov3'])
@pytest.mark.parametrize('checkpointing', [False, True])
def test_gradients_with_two_sizes_before_one_backward(name, checkpointing):
    """Recomputed blocks must see the map of their own images, not of the last ones."""
    settings = dict(window_size=2, global_blocks=1, out_indices=(1,))
    images = [images_for(16, grid, 1) for grid in ((4, 6), (6, 4))]
    expected = make(name, **settings).train()
    for one in images:
        expected(one)[0].square().mean().backward()
    found = make(name, grad_checkpointing=checkpointing, **settings).train()
    sum(found(one)[0].square().mean() for one in images).backward()
    for (key, a), b in zip(found.named_parameters(), expected.parameters(), strict=True):
        if a.requires_grad:
            torch.testing.assert_close(a.grad, b.grad, msg=lambda text, key=key: f'{key}: {text}')


def kept_bytes(name, grid, count, depth, **windows):
    """Of a forward pass for its backward pass, every storage once, parameters aside."""
    kwargs, patch = MODELS[name]
    kwargs = {**kwargs, 'depth': depth}
    backbone = TimmBackbone(name, model_kwargs=kwargs, out_indices=(-1,), **windows).train()
    storages = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage  # the storage too, lest its address be used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        backbone(images_for(patch, grid, count).float())
    for parameter in backbone.parameters():
        storages.pop(parameter.untyped_storage().data_ptr(), None)
    return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize(
    'name, prefix',
    [
        ('vit_base_patch16_gap_224', 0),
        ('vit_base_patch16_224', 1),
        ('deit_tiny_distilled_patch16_224', 2),
        ('vit_small_patch14_reg4_dinov2', 5),
    ],
)
def test_all_that_windows_keep_more_is_their_prefix_tokens(name, prefix):
    """The input, queries, keys, values and outputs, and a statistic for each head."""
    count, depth, channels, heads = 2, 3, 48, 3
    plain = kept_bytes(name, GRID, count, depth)
    found = kept_bytes(name, GRID, count, depth, window_size=2, global_blocks=1)
    windows = 3 * 4  # over 5 x 7 cells
    more = (windows - 1) * prefix * (5 * channels + heads) * 4
    assert found - plain == (depth - 1) * count * more


def test_blocks_share_what_is_cut_of_rotations():
    """A table of sines and cosines for each cell, once an image, however many the blocks."""
    name, grid, count, channels, heads = 'vit_small_patch16_dinov3', (5, 6), 2, 48, 3
    more = []
    for depth in (1, 4):
        plain = kept_bytes(name, grid, count, depth)
        found = kept_bytes(name, grid, count, depth, window_size=2, global_blocks=0)
        more.append(found - plain)
    table = 5 * 6 * 2 * channels // heads * 4
    windows, prefix = 3 * 3, 5
    block = (windows - 1) * prefix * (8 * channels + heads) * 4 * count  # the turned ones as well
    assert more == [block + (count - 1) * table, 4 * block + (count - 1) * table]


@pytest.mark.parametrize('name', ['vit_small_patch16_dinov3', 'eva02_tiny_patch14_224'])
def test_what_is_cut_of_rotations_is_not_taken_for_other_images(name):
    backbone = make(name, window_size=3, global_blocks=0)
    for grid, count in (((5, 7), 2), ((5, 7), 3), ((7, 5), 3), ((5, 7), 2)):
        images = images_for(MODELS[name][1], grid, count)
        with torch.inference_mode():
            found = backbone(images)[-1]
        again = make(name, window_size=3, global_blocks=0)(images)[-1]
        torch.testing.assert_close(found, again)
        backbone(images)[-1].sum().backward()  # needs what inference mode has not made


def test_the_state_dict_is_timms_and_a_copy_is_its_own():
    name = 'vit_base_patch16_224'
    backbone = make(name, window_size=2, global_blocks=1)
    timms = timm.create_model(name, num_classes=0, **VIT).state_dict()
    assert set(backbone.model.state_dict()) <= set(timms)
    images = images_for(16)
    twin = copy.deepcopy(backbone)
    before = backbone(images)[-1]
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.zero_()
    torch.testing.assert_close(twin(images)[-1], before)
    twin(images_for(16, (4, 9)))
    assert backbone._windows.grid == GRID


def test_compiled_it_gives_the_same():
    backbone = make('vit_small_patch16_dinov3', window_size=3, global_blocks=1)
    compiled = torch.compile(backbone, backend='eager')
    for grid in (GRID, (4, 9)):
        images = images_for(16, grid)
        for found, expected in zip(compiled(images), backbone(images), strict=True):
            torch.testing.assert_close(found, expected)


def test_pooled_features_take_windows_too():
    backbone = make('vit_base_patch16_224', output='pooled', window_size=2, global_blocks=1)
    plain = make('vit_base_patch16_224', output='pooled')
    images = images_for(16, (14, 14))
    assert not torch.allclose(backbone(images)[0], plain(images)[0])


@pytest.mark.parametrize(
    'name',
    ['swin_tiny_patch4_window7_224', 'resnet18', 'samvit_base_patch16_224', 'hiera_tiny_224'],
)
def test_other_models_stay_as_they_are(name, monkeypatch):
    lines = []
    monkeypatch.setattr(windows, 'print_log', lambda text, *_: lines.append(text))
    with torch.device('meta'):
        backbone = TimmBackbone(name, window_size=14)
    assert backbone._windows is None
    assert len(lines) == 1 and name in lines[0]


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(model_kwargs=dict(patch_drop_rate=0.5)), 'patch_drop_rate'),
        (dict(window_size=0), 'window_size=0'),
        (dict(global_blocks=-1), '0 or more'),
        (dict(global_blocks=(3, 12)), '0 to 11'),
    ],
)
def test_what_is_refused(settings, words):
    settings = dict(model_name='vit_tiny_patch16_224', window_size=14) | settings
    with pytest.raises(BackboneError, match=words):
        TimmBackbone(**settings)


def test_lora_and_windows_go_together():
    pytest.importorskip('peft', reason='LoRA needs peft: pip install peft')
    images = images_for(16)
    plain = make('vit_base_patch16_224', window_size=2, global_blocks=1)
    backbone = make('vit_base_patch16_224', window_size=2, global_blocks=1, lora=dict(r=2))
    state = {k.replace('.base_layer', ''): v for k, v in backbone.state_dict().items()}
    plain.load_state_dict({k: v for k, v in state.items() if 'lora_' not in k})
    for name, parameter in backbone.named_parameters():
        if 'lora_B' in name:
            torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(backbone(images)[-1], plain(images)[-1])


def test_windows_are_put_on_timms_own_model():
    model = timm.create_model('vit_base_patch16_224', num_classes=0, dynamic_img_size=True, **VIT)
    told = windows.put_windows(model, 2, 0, 'vit_base_patch16_224', **VIT)
    images = images_for(16).float()
    assert model(told.tell(images)).shape == (2, 48)
