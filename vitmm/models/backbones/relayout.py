"""Tensors that other codes cut, order or share otherwise than timm."""

import re
from collections.abc import Mapping

import torch

State = dict[str, torch.Tensor]
Own = Mapping[str, torch.Tensor]


def column_major(state: State, own: Own) -> State:
    """Swin's merged 2 x 2 patches: OpenMMLab unfolds (channel, row, column); timm column first."""
    state = dict(state)
    for key in [k for k in state if k.endswith('downsample.reduction.weight')]:
        width = state[key].shape[1]
        norm = key.removesuffix('reduction.weight') + 'norm.'
        for name in (key, norm + 'weight', norm + 'bias'):
            value = state.get(name)
            if value is not None and value.shape[-1] == width:  # V2 has its norm behind
                cells = value.unflatten(-1, (-1, 2, 2)).movedim(-3, -1).transpose(-3, -2)
                state[name] = cells.flatten(-3)
    return state


def pooled_shortcut(state: State, own: Own) -> State:
    """ResNet-D: timm counts the pooling of every shortcut, OpenMMLab only where there is one."""
    shifted = {}
    for key, value in state.items():
        match = re.fullmatch(r'(layer\d+\.\d+\.downsample\.)([01])(\..+)', key)
        if match and f'{match[1]}0.weight' in state and f'{match[1]}0.weight' not in own:
            key = f'{match[1]}{int(match[2]) + 1}{match[3]}'
        shifted[key] = value
    return shifted


def split_keys(state: State, own: Own) -> State:
    """PVT v2: timm has the queries, and the keys with the values, apart."""
    split = {}
    for key, value in state.items():
        if '.attn.in_proj_' in key:
            head, _, leaf = key.rpartition('.attn.in_proj_')
            width = value.shape[0] // 3
            split[f'{head}.attn.q.{leaf}'] = value[:width]
            split[f'{head}.attn.kv.{leaf}'] = value[width:]
        else:
            split[key] = value
    return split


def apart(state: State, own: Own) -> State:
    """EVA-02: its larger models have queries, keys and values, and gate and value, apart in timm.

    The keys' bias, 0 in every release, is dropped: timm has none.
    """
    parts = {'attn.qkv': ('attn.q_proj', 'attn.k_proj', 'attn.v_proj'),
             'mlp.fc1': ('mlp.fc1_g', 'mlp.fc1_x')}  # fmt: skip
    split = {}
    for key, value in state.items():
        whole = re.search(r'attn\.qkv|mlp\.fc1', key)
        if whole is None or key.replace(whole[0], parts[whole[0]][0]) not in own:
            split[key] = value
            continue
        names = parts[whole[0]]
        for name, part in zip(names, value.chunk(len(names)), strict=True):
            split[key.replace(whole[0], name)] = part
    return split


def share_table(state: State, own: Own) -> State:
    """BEiT is pretrained with one table of relative positions, and tuned with one per block."""
    table = state['rel_pos_bias.relative_position_bias_table']
    tables = {k: table for k in own if re.fullmatch(r'blocks\.\d+\..*position_bias_table', k)}
    return {**state, **tables}


def in_order(state: State, own: Own) -> State:
    """Pair the layers in their order, for CNNs that are one chain in both codes.

    The chain ends at the first pair of other kinds, so no tensor gets a place of another shape.
    """

    def natural(key: str) -> list[tuple[bool, int, str]]:  # files may be sorted by the alphabet
        parts = key.rpartition('.')[0].split('.')
        return [(p == 'classifier', int(p) if p.isdigit() else -1, p) for p in parts]

    def layers(keys: list[str], tensors: Own) -> list[tuple[str, dict]]:
        found: dict[str, dict] = {}
        for key in keys:
            layer, _, leaf = key.rpartition('.')
            # A linear layer may be a convolution, and the stem may get other channels.
            kind = [s for axis, s in enumerate(tensors[key].shape) if axis != 1 and s > 1]
            found.setdefault(layer, {})[leaf] = kind
        return list(found.items())

    renamed = {}
    pairs = zip(layers(sorted(state, key=natural), state), layers(list(own), own), strict=False)
    for (theirs, kinds), (ours, wanted) in pairs:
        if kinds != wanted:
            break
        renamed |= {f'{ours}.{leaf}': state[f'{theirs}.{leaf}'] for leaf in kinds}
    return renamed


def complete(state: State, own: Own) -> State:
    """Put what ``state`` says otherwise than the model: layer scales and attention's biases.

    Args:
        state: tensors by timm's names.
        own: the model's.
    """
    state = dict(state)
    for key in [key for key in own if key not in state]:
        owner, _, leaf = key.rpartition('.')
        fused = f'{owner}.qkv.bias'
        apart = [f'{owner.removesuffix("qkv")}{name}' for name in ('q_bias', 'v_bias')]
        scale = re.sub(r'\.ls(\d)\.gamma$', r'.gamma_\1', key)
        if scale == key:
            scale = re.sub(r'\.gamma_(\d)$', r'.ls\1.gamma', key)
        if scale in state:
            state[key] = state.pop(scale)
        elif leaf in ('q_bias', 'v_bias') and fused in state:
            # The keys' moves all scores of a query alike: softmax takes no notice. (In Swin V2,
            # where it would count, nobody uses it.)
            q, _, v = state.pop(fused).chunk(3)
            state |= {f'{owner}.q_bias': q, f'{owner}.v_bias': v}
        elif key.endswith('.qkv.bias') and apart[1] in state:
            q, v = (state.pop(name) for name in apart)
            state[key] = torch.cat([q, torch.zeros_like(q), v])
        elif key == 'patch_embed.proj.bias' and 'patch_embed.proj.weight' in state:
            state[key] = torch.zeros(own[key].shape)  # the file's has none
    return state
