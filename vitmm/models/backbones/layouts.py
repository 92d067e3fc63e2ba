"""How other codes name the weights that timm has too: known by their keys, renamed to timm's.

Only what timm does not read itself: its own filters know the original releases of most models.
The tensors mean the same throughout; where one is laid out otherwise, ``finish`` says how.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from vitmm.models.backbones import relayout
from vitmm.models.backbones.relayout import Own, State

Rule = tuple[str, str | Callable[[re.Match], str]]


@dataclass(frozen=True)
class Layout:
    """Keys of one origin, and what to make of them.

    Attributes:
        name: for the log.
        sign: pattern for a key of it, from its first name on; what stands before is a wrapper's.
        rules: (pattern, replacement) pairs, each applied to every key in turn.
        finish: brings renamed tensors to timm's layout, given those of the model.
        filtered: timm's own filter has to see the renamed keys too.
    """

    name: str
    sign: str
    rules: tuple[Rule, ...] = ()
    finish: Callable[[State, Own], State] | None = None
    filtered: bool = False

    def prefixes(self, state: State) -> list[str]:
        """The wrappers' prefixes under which ``state`` holds this layout, '' among them."""
        found = (re.fullmatch(rf'(.*\.|)(?:{self.sign})', key) for key in state)
        return list(dict.fromkeys(match[1] for match in found if match))

    def rename(self, state: State, own: Own) -> State:
        """Give the tensors timm's names; those that are no part of the model keep theirs."""
        renamed = {}
        for key, value in state.items():
            for pattern, replacement in self.rules:
                key = re.sub(pattern, replacement, key)
            renamed[key] = value
        return self.finish(renamed, own) if self.finish else renamed


def _shift(template: str, scale: int = 1, offset: int = 0) -> Callable[[re.Match], str]:
    """A replacement for a key whose first number counts otherwise; '{}' stands for it."""
    return lambda match: template.format((int(match[1]) + offset) // scale, *match.groups()[1:])


_MM_FFN: tuple[Rule, ...] = (
    (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
    (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
    (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
)
_MM_SWIN: tuple[Rule, ...] = (
    *_MM_FFN,
    (r'\.attn\.w_msa\.', '.attn.'),
    (r'^norm3\.', 'norm.'),
)
_MM_WINDOWS = r'stages\.0\.blocks\.0\.attn\.w_msa\.'

LAYOUTS = (
    Layout(
        'OpenMMLab ViT',
        r'layers\.0\.(?:ln1|norm1)\.weight',
        (
            *_MM_FFN,
            (r'^layers\.', 'blocks.'),
            (r'\.ln(\d)\.', r'.norm\1.'),
            (r'\.attn\.attn\.in_proj_', '.attn.qkv.'),
            (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
            (r'\.ffn\.w12\.', '.mlp.fc1.'),
            (r'\.ffn\.w3\.', '.mlp.fc2.'),
            (r'\.(?:attn|ffn)\.gamma(\d)\.weight$', r'.ls\1.gamma'),
            (r'^pre_norm\.', 'norm_pre.'),
            (r'^(?:ln1|norm1)\.', 'norm.'),
            (r'^(?:ln2|norm2)\.', 'fc_norm.'),
        ),
    ),
    Layout(
        'OpenMMLab EVA-02',
        r'layers\.0\.mlp\.w12\.weight',
        (
            *_MM_FFN,
            (r'^layers\.', 'blocks.'),
            (r'\.mlp\.w12\.', '.mlp.fc1.'),
            (r'\.mlp\.w3\.', '.mlp.fc2.'),
            (r'^ln1\.', 'norm.'),
            (r'^ln2\.', 'fc_norm.'),
            (r'^.*rope\.freqs_(?:cos|sin)$', 'freqs_cos'),
        ),
        relayout.apart,
    ),
    Layout(
        'OpenMMLab Swin',
        _MM_WINDOWS + 'relative_position_bias_table',
        (
            *_MM_SWIN,
            # timm merges patches at the start of the next stage.
            (r'^stages\.(\d+)\.downsample\.', _shift('layers.{}.downsample.', offset=1)),
            (r'^stages\.', 'layers.'),
        ),
        relayout.column_major,
    ),
    Layout(
        'OpenMMLab Swin V2',
        _MM_WINDOWS + 'logit_scale',
        (*_MM_SWIN, (r'^stages\.', 'layers.')),
        relayout.column_major,
    ),
    Layout(
        'Facebook or OpenMMLab ConvNeXt',
        r'stages\.0\.0\.(?:dwconv|depthwise_conv)\.weight',
        (
            (r'^downsample_layers\.0\.', 'stem.'),
            (r'^downsample_layers\.(\d+)\.', r'stages.\1.downsample.'),
            (r'^stages\.(\d+)\.(\d+)\.', r'stages.\1.blocks.\2.'),
            (r'\.(?:dwconv|depthwise_conv)\.', '.conv_dw.'),
            (r'\.(?:pwconv|pointwise_conv)(\d)\.', r'.mlp.fc\1.'),
            (r'\.grn\.gamma$', '.mlp.grn.weight'),
            (r'\.grn\.beta$', '.mlp.grn.bias'),
            (r'^head\.', 'head.fc.'),
            (r'^norm3?\.', 'head.norm.'),
        ),
    ),
    Layout(
        'OpenMMLab ResNet',
        r'layer1\.0\.conv1\.weight',
        (
            (r'^stem\.2\.bn\.|^stem\.7\.', 'bn1.'),
            (r'^stem\.(\d)\.conv\.', lambda m: f'conv1.{3 * int(m[1])}.'),
            (r'^stem\.(\d)\.bn\.', lambda m: f'conv1.{3 * int(m[1]) + 1}.'),
            (r'^stem\.', 'conv1.'),
            (r'\.se_layer\.conv(\d)\.conv\.', r'.se.fc\1.'),
        ),
        relayout.pooled_shortcut,
    ),
    Layout(
        'OpenMMLab RegNet',
        r'layer1\.0\.conv1\.weight',
        (
            (r'^layer(\d)\.(\d+)\.', lambda m: f's{m[1]}.b{int(m[2]) + 1}.'),
            (r'\.downsample\.0\.', '.downsample.conv.'),
            (r'\.downsample\.1\.', '.downsample.bn.'),
            (r'\.conv(\d)\.', r'.conv\1.conv.'),
            (r'\.bn(\d)\.', r'.conv\1.bn.'),
            (r'^conv1\.', 'stem.conv.'),
            (r'^bn1\.', 'stem.bn.'),
        ),
    ),
    Layout(
        'OpenMMLab EfficientNet or MobileNet',
        r'(?:layers\.0\.conv|layer1\.0\.conv\.0\.conv|layer1\.depthwise_conv\.conv)\.weight',
        (
            (r'^conv1\.', 'layers.0.'),
            (r'^conv2\.', 'layers.99.'),
            (r'^layer(\d+)\.', r'layers.\1.'),
            # In the order in which they run, which is not the alphabet's.
            *(
                (rf'\.{name}\.', f'.{place}.')
                for names in (
                    ('expand_conv', 'depthwise_conv', 'se', 'linear_conv'),
                    ('conv', 'bn'),
                )
                for place, name in enumerate(names)
            ),
        ),
        relayout.in_order,
    ),
    Layout(
        'OpenMMLab PVT v2',
        r'layers\.0\.1\.0\.attn\.attn\.in_proj_weight',
        (
            (r'^layers\.0\.0\.projection\.', 'patch_embed.proj.'),
            (r'^layers\.0\.0\.norm\.', 'patch_embed.norm.'),
            (r'^layers\.(\d)\.0\.projection\.', r'stages.\1.downsample.proj.'),
            (r'^layers\.(\d)\.0\.norm\.', r'stages.\1.downsample.norm.'),
            (r'^layers\.(\d)\.1\.', r'stages.\1.blocks.'),
            (r'^layers\.(\d)\.2\.', r'stages.\1.norm.'),
            (r'\.attn\.attn\.out_proj\.', '.attn.proj.'),
            (r'\.attn\.attn\.', '.attn.'),
            (r'\.ffn\.layers\.0\.', '.mlp.fc1.'),
            (r'\.ffn\.layers\.1\.', '.mlp.dwconv.'),
            (r'\.ffn\.layers\.[34]\.', '.mlp.fc2.'),
        ),
        relayout.split_keys,
    ),
    Layout(
        'torchvision ViT',
        r'encoder\.layers\.encoder_layer_0\.self_attention\.in_proj_weight',
        (
            (r'^class_token$', 'cls_token'),
            (r'^conv_proj\.', 'patch_embed.proj.'),
            (r'^encoder\.pos_embedding$', 'pos_embed'),
            (r'^encoder\.layers\.encoder_layer_(\d+)\.', r'blocks.\1.'),
            (r'^encoder\.ln\.', 'norm.'),
            (r'\.ln_(\d)\.', r'.norm\1.'),
            (r'\.self_attention\.in_proj_', '.attn.qkv.'),
            (r'\.self_attention\.out_proj\.', '.attn.proj.'),
            (r'\.mlp\.(?:0|linear_1)\.', '.mlp.fc1.'),  # the second is what the files have
            (r'\.mlp\.(?:3|linear_2)\.', '.mlp.fc2.'),
            (r'^heads\.head\.', 'head.'),
        ),
    ),
    Layout(
        'torchvision Swin',
        r'features\.1\.0\.attn\.qkv\.weight',
        (
            (r'^features\.0\.0\.', 'patch_embed.proj.'),
            (r'^features\.0\.2\.', 'patch_embed.norm.'),
            (r'^features\.(\d)\.(reduction|norm)\.', _shift('layers.{}.downsample.{}.', 2)),
            (r'^features\.(\d)\.(\d+)\.', _shift('layers.{}.blocks.{}.', 2)),
            (r'\.mlp\.0\.', '.mlp.fc1.'),
            (r'\.mlp\.3\.', '.mlp.fc2.'),
            (r'^head\.', 'head.fc.'),
        ),
    ),
    Layout(
        'torchvision ConvNeXt',
        r'features\.1\.0\.layer_scale',
        (
            (r'^features\.0\.', 'stem.'),
            (r'^features\.([1357])\.(\d+)\.', _shift('stages.{}.blocks.{}.', 2)),
            (r'^features\.([246])\.', _shift('stages.{}.downsample.', 2)),
            (r'\.layer_scale$', '.gamma'),
            (r'\.block\.0\.', '.conv_dw.'),
            (r'\.block\.2\.', '.norm.'),
            (r'\.block\.3\.', '.mlp.fc1.'),
            (r'\.block\.5\.', '.mlp.fc2.'),
            (r'^classifier\.0\.', 'head.norm.'),
            (r'^classifier\.2\.', 'head.fc.'),
        ),
    ),
    Layout(
        'torchvision EfficientNet, MobileNet or MNASNet',
        r'features\.1\.(?:0\.)?(?:block|conv)\.0\.0\.weight|layers\.8\.0\.layers\.0\.weight',
        (),
        relayout.in_order,
    ),
    Layout(
        'BEiT as pretrained',
        r'rel_pos_bias\.relative_position_bias_table',
        (),
        relayout.share_table,
    ),
    Layout(
        'DINOv2 as trained, blocks in chunks',
        r'blocks\.0\.0\.norm1\.weight',
        ((r'^blocks\.\d+\.(\d+)\.', r'blocks.\1.'),),
        filtered=True,
    ),
)
