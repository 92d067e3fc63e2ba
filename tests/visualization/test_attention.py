"""Attention maps against softmax(q k / sqrt(d)) of each block's own layers, laid out by hand."""

from dataclasses import replace

import pytest
import torch
from timm.models.swin_transformer import window_partition, window_reverse

from vitmm.errors import BackboneError
from vitmm.models.backbones.timm_backbone import TimmBackbone
from vitmm.visualization.attending import Attended, AttentionWatch, sdpa_weights
from vitmm.visualization.attention import choose_blocks, lay_attention, rollout
from vitmm.visualization.carrying import same_places
from vitmm.visualization.placing import Placing

SIZE = 70, 90  # of patches of 16: 5 x 6


def images(size=SIZE):
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


def backbone(name='test_vit', **settings):
    torch.manual_seed(0)
    return TimmBackbone(name, **settings).eval().requires_grad_(False)


def watch(model, size=SIZE, blocks=(-1,), weights=False):
    """Attention of some blocks, and the inputs of all attention modules."""
    x = images(size).requires_grad_()
    with AttentionWatch(model) as counted, torch.no_grad():
        model(x)
    count = len(counted.modules)
    inputs = {}
    handles = [
        module.register_forward_pre_hook(lambda m, args: inputs.update({m: args[0].detach()}))
        for name, module in model.named_modules()
        if name.removeprefix('model.') in counted.modules
    ]
    with AttentionWatch(model, [b % count for b in blocks], weights) as watched:
        model(x)
    for handle in handles:
        handle.remove()
    return [watched.kept[b % count] for b in blocks], inputs, Placing.of(model, size)


def by_hand(attn, x, bias=0.0):
    """(B, heads, N, N) of a plain attention module for tokens (B, N, C)."""
    q, k, _ = attn.qkv(x).unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5 + bias, -1)


@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.parametrize('block', [0, -1])
def test_class_token_of_a_plain_vit(fused, block):
    model = backbone()
    for one in model.model.blocks:
        one.attn.fused_attn = fused
    (kept,), inputs, placing = watch(model, blocks=[block])
    attn = model.model.blocks[block].attn
    expected = by_hand(attn, inputs[attn])[0, :, 0, 1:].unflatten(-1, (5, 6)) * 31
    found = lay_attention(kept, placing)
    assert 'class token' in found.title
    assert found.pitch == (16, 16)
    torch.testing.assert_close(found.heads, expected, atol=1e-4, rtol=1e-4)


def test_bfloat16_is_close():
    model = backbone()
    (kept,), _, placing = watch(model)
    expected = lay_attention(kept, placing).heads
    with torch.autocast('cpu', torch.bfloat16):
        (kept,), _, _ = watch(model)
    torch.testing.assert_close(lay_attention(kept, placing).heads, expected, atol=0.1, rtol=0.1)


def test_windows_of_a_plain_vit_are_stitched():
    model = backbone(window_size=4, global_blocks=[-1])
    (kept,), inputs, placing = watch(model, blocks=[0])
    attn = model.model.blocks[0].attn
    first, cells = inputs[attn][:, :1], inputs[attn][0, 1:].unflatten(0, (5, 6))
    expected = torch.zeros(attn.num_heads, 5, 6)
    # The windows at the right and bottom are smaller, and have each shape of their own.
    for top in (0, 4):
        for left in (0, 4):
            part = cells[top : top + 4, left : left + 4]
            tokens = torch.cat([first, part.flatten(0, 1)[None]], 1)
            row = by_hand(attn, tokens)[0, :, 0, 1:] * tokens.shape[1]
            expected[:, top : top + 4, left : left + 4] = row.unflatten(-1, part.shape[:2])
    assert len(kept) == 4
    torch.testing.assert_close(lay_attention(kept, placing).heads, expected, atol=1e-4, rtol=1e-4)


def test_shifted_windows_of_swin():
    kwargs = dict(embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=4)
    model = backbone('swin_tiny_patch4_window7_224', model_kwargs=kwargs)
    (kept,), inputs, placing = watch(model, size=(60, 90), blocks=[1])
    block = model.model.layers[0].blocks[1]
    assert any(block.shift_size)
    windows = inputs[block.attn]
    bias = block.attn._get_rel_pos_bias()
    height, width = placing.inner[0] // 4, placing.inner[1] // 4
    marks = torch.zeros(height, width)  # as Swin says: what was apart before the shift
    for n, rows in enumerate((slice(0, -4), slice(-4, -2), slice(-2, None))):
        for m, columns in enumerate((slice(0, -4), slice(-4, -2), slice(-2, None))):
            marks[rows, columns] = 3 * n + m
    marks = window_partition(marks[None, ..., None], (4, 4)).flatten(1)
    mask = torch.where(marks[:, None] == marks[:, :, None], 0.0, -100.0)[:, None]
    mean = by_hand(block.attn, windows, bias + mask).mean(-2) * 16  # (windows, heads, 16)
    laid = window_reverse(mean.mT.unflatten(1, (4, 4)), (4, 4), height, width)
    expected = torch.roll(laid, block.shift_size, (1, 2))[0].movedim(-1, 0)
    found = lay_attention(kept, placing)
    assert found.pitch == (4, 4)
    torch.testing.assert_close(found.heads, expected, atol=1e-4, rtol=1e-4)


def test_tiles_are_stitched():
    model = backbone('test_vit_relpos')
    side = model.canvas.native[0]
    assert model.canvas.tiled
    (kept,), _, placing = watch(model, size=(side, 2 * side))
    found = lay_attention(kept, placing).heads
    x = images((side, 2 * side))
    for columns, half in ((slice(0, 10), x[..., :side]), (slice(10, 20), x[..., side:])):
        inputs = []
        attn = model.model.blocks[-1].attn
        handle = attn.register_forward_pre_hook(lambda m, args, seen=inputs: seen.append(args[0]))
        model(half)
        handle.remove()
        weights = by_hand(attn, inputs[0], attn.rel_pos.get_bias())
        expected = weights.mean(-2)[0].unflatten(-1, (10, 10)) * 100
        torch.testing.assert_close(found[..., columns], expected, atol=1e-4, rtol=1e-4)


def test_pooled_keys_cover_their_cells():
    model = backbone('pvt_v2_b0', model_kwargs=dict(depths=(1, 1, 1, 1)))
    (kept,), inputs, placing = watch(model, size=(64, 96), blocks=[0])
    attn = model.model.stages[0].blocks[0].attn
    tokens = inputs[attn]
    (q,) = attn.q(tokens).unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)
    pooled = attn.norm(attn.sr(tokens.mT.unflatten(2, (16, 24))).flatten(2).mT)
    k = attn.kv(pooled)[..., : tokens.shape[-1]].unflatten(-1, (attn.num_heads, -1))
    weights = torch.softmax(q @ k[0].transpose(0, 1).mT / q.shape[-1] ** 0.5, -1)
    coarse = weights.mean(-2).unflatten(-1, (2, 3)) * 6
    expected = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)
    torch.testing.assert_close(lay_attention(kept, placing).heads, expected, atol=1e-4, rtol=1e-4)


def test_attention_among_channels_is_refused():
    model = backbone('xcit_nano_12_p8_224', model_kwargs=dict(depth=2))
    (kept,), _, placing = watch(model, size=(32, 32), blocks=[0])
    with pytest.raises(BackboneError, match=r'blocks\.0\.attn is not one among cells'):
        lay_attention(kept, placing)


def test_no_attention_and_no_such_block():
    model = backbone('test_resnet')
    with AttentionWatch(model) as watched:
        model(images())
    with pytest.raises(BackboneError, match=r'test_resnet has no attention.*out of --what'):
        choose_blocks(watched.modules, None, 'test_resnet')
    with pytest.raises(BackboneError, match=r'--block 3: it has 2 blocks.*0 \(a\) to 1 \(b\)'):
        choose_blocks(['a', 'b'], 3, 'it')
    assert choose_blocks(['a', 'b'], -2, 'it') == [0]
    assert choose_blocks(['a', 'b'], None, 'it') == [1, 0]


def test_rollout_is_the_product():
    model = backbone()
    kept, inputs, placing = watch(model, blocks=range(6), weights=True)
    flow = torch.eye(31)
    for block in model.model.blocks:
        flow = (by_hand(block.attn, inputs[block.attn])[0].mean(0) + torch.eye(31)) / 2 @ flow
    expected = flow[0, 1:].unflatten(0, (5, 6)) * 31
    found = rollout(kept, placing)
    torch.testing.assert_close(found.heads[0], expected, atol=1e-4, rtol=1e-4)
    windowed = backbone(window_size=3)
    kept, _, placing = watch(windowed, blocks=range(6), weights=True)
    with pytest.raises(BackboneError, match='--rollout multiplies'):
        rollout(kept, placing)


def test_weights_are_those_of_scaled_dot_product_attention():
    seed = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 7, 8, generator=seed)
    mask = torch.rand(7, 7, generator=seed) > 0.3
    mask |= torch.eye(7, dtype=torch.bool)
    cases = (
        dict(),
        dict(attn_mask=mask),
        dict(attn_mask=torch.randn(7, 7)),
        dict(is_causal=True),
        dict(scale=0.7),
    )
    for case in cases:
        expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, **case)
        torch.testing.assert_close(sdpa_weights(q, k, **case) @ v, expected)


def test_values_before_a_softmax_that_is_turned():
    model = backbone('shvit_s1')
    (kept,), inputs, placing = watch(model, size=(96, 128))
    block = model.model.get_submodule(kept[0].module)
    x = block.pre_norm(inputs[block][:, : block.pdim])
    q, k, _ = block.qkv(x).flatten(2).split([block.qk_dim, block.qk_dim, block.pdim], 1)
    weights = torch.softmax(q.mT @ k * block.scale, -1)
    expected = weights.mean(1).unflatten(-1, x.shape[2:]) * weights.shape[-1]
    found = lay_attention(kept, placing)
    torch.testing.assert_close(found.heads, expected, atol=1e-4, rtol=1e-4)


def test_a_softmax_over_tokens_for_each_channel():
    model = backbone('coat_lite_tiny', model_kwargs=dict(serial_depths=(1, 1, 1, 1)))
    side = model.canvas.native[0]
    (kept,), inputs, placing = watch(model, size=(side, side))
    attn = model.model.get_submodule(kept[0].module)
    tokens = inputs[attn]
    _, k, _ = attn.qkv(tokens).unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    mean = torch.softmax(k, 2).mean(-1)[0] * k.shape[2]  # (heads, 1 + cells)
    found = lay_attention(kept, placing)
    assert f'mean of {k.shape[-1]} channels' in found.title
    torch.testing.assert_close(found.heads, mean[:, 1:].unflatten(-1, (7, 7)), atol=1e-4, rtol=1e-4)


def test_windows_that_overlap_with_heads_in_the_batch():
    model = backbone('halonet26t')
    (kept,), inputs, placing = watch(model, size=(256, 256), blocks=[-1])
    attn = model.model.get_submodule(kept[0].module)
    x, side = inputs[attn], attn.block_size
    heads, blocks = attn.num_heads, x.shape[-1] // side
    weights = torch.zeros(heads, *x.shape[2:])
    times = torch.zeros(x.shape[2:])
    padded = torch.nn.functional.pad(attn.kv(x), [attn.halo_size] * 4)
    q = attn.q(x)
    assert attn.block_stride == 1 and blocks >= 1
    for row in range(blocks):
        for column in range(blocks):
            top, left, win = row * side, column * side, attn.win_size
            queries = q[0, :, top : top + side, left : left + side].flatten(1)
            keys = padded[0, :, top : top + win, left : left + win].flatten(1)
            queries = queries.unflatten(0, (heads, -1)).mT
            keys = keys.unflatten(0, (heads, -1))[:, : attn.dim_head_qk]
            logits = queries @ keys * attn.scale + attn.pos_embed(queries[:, None])[:, 0]
            mean = logits.softmax(-1).mean(1).unflatten(-1, (win, win)) * win * win
            for n in range(win):
                for m in range(win):
                    i, j = top + n - attn.halo_size, left + m - attn.halo_size
                    if 0 <= i < x.shape[2] and 0 <= j < x.shape[3]:
                        weights[:, i, j] += mean[:, n, m]
                        times[i, j] += 1
    found = lay_attention(kept, placing)
    torch.testing.assert_close(found.heads, weights / times, atol=1e-3, rtol=1e-3)


def test_tokens_of_later_blocks_lie_where_the_first_block_had_them():
    model = backbone('mobilevit_xxs')
    (kept,), inputs, placing = watch(model, size=(128, 128))
    attn = model.model.get_submodule(kept[0].module)
    tokens = inputs[attn]  # (4 places in each patch of 2 x 2, patches, C)
    mean = by_hand(attn, tokens).mean(-2) * tokens.shape[1]  # (4, heads, patches)
    patches = mean.unflatten(-1, (2, 2)).unflatten(0, (2, 2))  # y x heads rows columns
    expected = patches.permute(2, 3, 0, 4, 1).flatten(3, 4).flatten(1, 2)  # 4 x 4 cells
    found = lay_attention(kept, placing)
    torch.testing.assert_close(found.heads, expected, atol=1e-3, rtol=1e-3)


def test_keys_of_overlapping_convolutions_are_a_coarser_map():
    torch.manual_seed(0)
    cells = torch.randn(1, 8, 28, 28, requires_grad=True)
    keys = torch.nn.Conv2d(8, 16, 7, 4, 3)(cells).flatten(2).mT[:, None]  # as MViTv2 pools them
    mean = torch.rand(1, 2, 49).softmax(-1)
    one = Attended('pool', mean, mean, queries=49, value=keys, maps=[cells])
    found = lay_attention([one], Placing((112, 112), (112, 112)))
    torch.testing.assert_close(found.heads, (mean[0] * 49).unflatten(-1, (7, 7)))
    assert found.pitch == (16, 16)
    # Where keys are not in the order of the image, there is none.
    turned = replace(one, value=keys[:, :, torch.randperm(49)])
    with pytest.raises(BackboneError, match='not one among cells'):
        lay_attention([turned], Placing((112, 112), (112, 112)))


def test_shifted_tokens_are_not_taken_for_others():
    source = torch.randn(6, 16, 8, requires_grad=True)
    later = source + 0.5 * torch.tanh(source.mean(1, keepdim=True))
    assert same_places(torch.layer_norm(later, (8,)), source)
    assert not same_places(later.roll(3, 1), source)
    assert not same_places(later.mean(1, keepdim=True).expand(6, 16, 8), source)
