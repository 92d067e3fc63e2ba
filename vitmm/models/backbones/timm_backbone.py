"""Any timm model as an OpenMMLab backbone that describes itself."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Any, Literal

import torch
from mmengine.model import BaseModule, initialize
from timm.layers import LayerNorm2d
from torch import nn

from vitmm.errors import BackboneError
from vitmm.models.backbones import timm_factory, timm_weights
from vitmm.models.backbones.checkpointing import checkpoint_activations
from vitmm.models.backbones.class_tokens import check_class_token
from vitmm.models.backbones.depths import HEAD, parameter_depths
from vitmm.models.backbones.freezing import first_groups, frozen_modules, norm_parameters
from vitmm.models.backbones.lora import inject as inject_lora
from vitmm.models.backbones.measure import (
    Measured,
    measure_maps,
    measure_pooled,
    takes_norm,
    unused_parameters,
)
from vitmm.models.backbones.preprocessing import preprocessing_of, to_channels
from vitmm.models.backbones.regions import steady_regions
from vitmm.models.backbones.settings import check_settings, check_types
from vitmm.models.backbones.taps import choose_taps, given_taps
from vitmm.models.backbones.units import find_units
from vitmm.models.backbones.windows import put_windows
from vitmm.models.feature_maps import FeatureMaps
from vitmm.registry import MODELS


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Any timm model, from images of any size to NCHW maps, finest first.

    What it knows of itself is read from timm, never from a table of names:

    - ``channels``, ``strides``: of each map that :meth:`forward` returns;
    - ``mean``, ``std``: pixel statistics (RGB, 0 to 255) of the model's pretrained config;
    - ``preprocessing``: how timm brings an image to the model when it is tested: ``size`` (H, W)
      in pixels, ``interpolation``, ``crop_pct``, ``crop_mode``, as :class:`vitmm.TimmEval` takes;
    - ``layer_depths()``, ``no_weight_decay()``: for freezing, layer-wise rates and decay.

    The parameters are timm's under the prefix ``model.``, with the blocks after the last map
    used and the classifier dropped (but for ``output='logits'``), so every one of them gets a
    gradient.

    Args:
        model_name: any name of ``timm.list_models()``, with or without a tag.
        pretrained: True for timm's own weights, a path for a local ``.pth`` or ``.safetensors``
            file. They are loaded by :meth:`init_weights`, which the Runner calls before training;
            nothing is fetched to test a checkpoint.
        output: ``'maps'``, or ``'pooled'`` for timm's own pooled features (class token, average,
            head norm: what ``forward_head(pre_logits=True)`` does), as its classifier gets them;
            ``model_kwargs.global_pool`` chooses which, where the model takes it. ``'logits'`` for
            the outputs of timm's own classifier, which keeps its pretrained weights if it has as
            many classes as they have; mmpretrain's ``ClsHead`` goes on top.
        num_classes: of ``'logits'``.
        out_strides: return one map for each of these strides (pixels, fine to coarse): the nearest
            that the model has, whatever it has (a plain ViT gives as many blocks, evenly spaced).
            ``strides`` tells what they are; :class:`FeaturePyramid` brings them to these.
        out_indices: instead, which of timm's feature maps to return; negative counts from the last.
        out_norm: timm's maps come without the last norm. ``'final'`` applies the model's own
            final norm to the maps that it fits (every map of a plain ViT, none of some
            hierarchical models); ``'layer'`` adds a
            LayerNorm over the channels of each map, as mmdet's and mmseg's Swin and ConvNeXt do.
        class_token: give each map's class token beside the maps, as ``maps.class_tokens``, for
            :class:`vitmm.DPTHead`; plain ViTs have one. Where images are cut into tiles it is the
            average over them.
        frozen_groups: how many of timm's parameter groups (stem, then blocks) to freeze; ``'all'``
            freezes every parameter, but for those of timm's own classifier. Frozen parts stay in
            eval mode. See :meth:`freeze`, and ``vitmm.ThawHook`` to thaw after some epochs.
        frozen_norms: freeze every normalisation layer, statistics included.
        lora: what ``peft.LoraConfig`` takes, e.g. ``dict(r=8, lora_alpha=16)``: low-rank adapters
            train in place of timm's own parameters, which are frozen. See :mod:`.lora`.
        drop_path_rate: stochastic depth, from 0 to below 1; None is timm's default for the model.
        grad_checkpointing: recompute activations in the backward pass to save memory: timm's own
            way, or block by block where timm offers none.
        window_size: attention looks into windows of so many tokens a side, but for that of
            ``global_blocks`` (how many, evenly spaced, or which). For plain ViTs; others stay as
            they are. See :mod:`.windows`.
        global_blocks: the blocks whose attention looks at the whole map.
        in_chans: channels of the images.
        model_kwargs: anything else that ``timm.create_model`` takes for this model.
        init_cfg: MMEngine's; applied to this module only.

    Raises:
        BackboneError: an unknown name, an index out of range, a setting the model does not take.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: bool | str = False,
        output: Literal['maps', 'pooled', 'logits'] = 'maps',
        num_classes: int | None = None,
        out_strides: int | Sequence[int] = (4, 8, 16, 32),
        out_indices: int | Sequence[int] | None = None,
        out_norm: Literal['final', 'layer'] | None = None,
        class_token: bool = False,
        frozen_groups: int | Literal['all'] = 0,
        frozen_norms: bool = False,
        lora: Mapping[str, Any] | None = None,
        drop_path_rate: float | None = None,
        grad_checkpointing: bool = False,
        window_size: int | None = None,
        global_blocks: int | Sequence[int] = 4,
        in_chans: int = 3,
        model_kwargs: dict[str, Any] | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_types(model_name, pretrained, out_indices, window_size, global_blocks, frozen_norms)
        check_settings(
            output, num_classes, out_norm, class_token, lora, model_kwargs, drop_path_rate
        )
        self.model_name = model_name
        self.pretrained = pretrained
        self.output = output
        self.in_chans = in_chans
        self.out_norm = out_norm
        self.settings = dict(
            in_chans=in_chans, drop_path_rate=drop_path_rate, **(model_kwargs or {})
        )
        if output == 'logits':
            self.settings['num_classes'] = num_classes
        self.model = timm_factory.create(model_name, **self.settings)
        self.mean = to_channels(self.model.pretrained_cfg['mean'], in_chans)
        self.std = to_channels(self.model.pretrained_cfg['std'], in_chans)
        self.preprocessing = preprocessing_of(self.model, self.settings)
        self.unfilled: tuple[str, ...] = ()

        if output != 'maps':
            width, self.canvas = measure_pooled(model_name, **self.settings)
            self.channels: tuple[int, ...] = (width,)
            self.strides: tuple[int, ...] = ()
            unused = unused_parameters(model_name, None, **self.settings)
        else:
            measured = measure_maps(model_name, **self.settings)
            self.canvas = measured.canvas
            self._output_fmt = measured.output_fmt
            self._norm = out_norm == 'final' and takes_norm(model_name, **self.settings)
            self._class_token = class_token
            if class_token:
                check_class_token(model_name, **self.settings)
            taps = self._tap(measured, out_strides, out_indices)
            unused = unused_parameters(model_name, taps, self._norm, **self.settings)
        # What only the classifier reads stays for the checkpoint's sake, frozen: see freeze.
        self._unused = frozenset(f'model.{name}' for name in unused)

        if out_norm == 'layer':
            self.norms = nn.ModuleList(LayerNorm2d(c, eps=1e-5) for c in self.channels)
        self._windows = None
        if window_size is not None:
            self._windows = put_windows(
                self.model, window_size, global_blocks, model_name, **self.settings
            )
        if grad_checkpointing:
            checkpoint_activations(self.model, model_name, **self.settings)
        if lora is not None:
            fixed = inject_lora(
                self.model, lora, model_name=model_name, model_settings=self.settings, unused=unused
            )
            self._unused |= {f'model.{name}' for name in fixed}
        self.freeze(frozen_groups, frozen_norms)

    def _tap(
        self,
        measured: Measured,
        out_strides: int | Sequence[int],
        out_indices: int | Sequence[int] | None,
    ) -> list[int]:
        """Choose the maps, drop what lies behind the last, and note channels and strides."""
        if out_indices is None:
            taps = choose_taps(measured.strides, _several(out_strides))
        else:
            taps = given_taps(_several(out_indices), len(measured.strides), self.model_name)
        self.channels = tuple(measured.channels[i] for i in taps)
        self.strides = tuple(measured.strides[i] for i in taps)
        self._taps = taps
        unique = sorted(set(taps))
        self._positions = [unique.index(i) for i in taps]
        self._indices = self.model.prune_intermediate_layers(
            unique, prune_norm=not self._norm, prune_head=True
        )
        # No classes are left, and mmdet's NumClassCheckHook wants those of the data in any module.
        self.model.__dict__.pop('num_classes', None)
        return unique

    def layer_depths(self, coarse: bool = False) -> dict[str, int]:
        """The depth of every parameter of ``model``: 0 for the stem, then a step a block.

        Args:
            coarse: a step a stage, where the model has stages.
        """
        depths = parameter_depths(self.model, coarse)
        return {name: depth for name, depth in depths.items() if name != HEAD}

    def head_depth(self, coarse: bool = False) -> int:
        """The depth of a head on top of the model, counted as :meth:`layer_depths` counts."""
        return parameter_depths(self.model, coarse)[HEAD]

    def no_weight_decay(self) -> set[str]:
        """Which parameters of ``model`` take no weight decay, as timm says (embeddings mostly)."""
        patterns = self.model.no_weight_decay() if hasattr(self.model, 'no_weight_decay') else ()
        return {
            name
            for name, _ in self.model.named_parameters()
            if any(fnmatch(name, pattern) for pattern in patterns)
        }

    def units(self) -> list[nn.Module]:
        """The blocks that FSDP may gather and free one by one; see :mod:`.units`."""
        names = find_units(self.model_name, **self.settings)
        return [module for name, module in self.model.named_modules() if name in names]

    def freeze(self, groups: int | Literal['all'], norms: bool = False) -> None:
        """Freeze this much, and thaw the rest.

        Args:
            groups: the first so many of timm's parameter groups (stem, then blocks), or ``'all'``.
            norms: the normalisation layers too, wherever they are.

        Raises:
            BackboneError: more groups than the model has.
        """
        frozen = set(self._unused)
        if groups == 'all':
            own = timm_weights.classifier_tensors(self.model) if self.output == 'logits' else ()
            classifier = {f'model.{name}' for name in own}
            frozen.update(n for n, _ in self.named_parameters() if n not in classifier)
        elif groups:
            names = first_groups(self.layer_depths(), groups, self.model_name)
            frozen.update(f'model.{name}' for name in names)
        if norms:
            frozen.update(norm_parameters(self))
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name not in frozen)
        # Drop-path, dropout and batch statistics must rest wherever the weights do. Names, for
        # batch norms may be replaced by synchronised ones.
        every = [name for name, _ in self.named_modules()][1:]
        self._frozen = every if groups == 'all' else frozen_modules(self)
        self.train(self.training)

    def compile_blocks(self, **settings: Any) -> int:
        """Compile the parts of the model that are the same at every image size, in place.

        Args:
            settings: of :func:`torch.compile`: ``backend``, ``options``, ...

        Returns:
            How many parts: see :func:`.regions.steady_regions`.
        """
        names = steady_regions(self.model_name, **self.settings)
        parts = [module for name, module in self.model.named_modules() if name in names]
        for part in parts:
            part.compile(dynamic=True, **settings)
        return len(parts)

    def train(self, mode: bool = True) -> 'TimmBackbone':
        """Set training mode; frozen parts stay in eval mode."""
        super().train(mode)
        for name in self._frozen:
            self.get_submodule(name).eval()
        return self

    def init_weights(self) -> None:
        """Load the pretrained weights, once. timm has initialised everything else already.

        Does not descend into the timm model: MMEngine would call its ``init_weights`` and
        overwrite what was loaded. ``unfilled`` names what the weights have not.
        """
        if self.is_init:
            return
        if self.init_cfg:
            initialize(self, self.init_cfg)
        if self.pretrained is True:
            self.unfilled = timm_weights.load_from_hub(self.model, self.model_name, **self.settings)
        elif self.pretrained:
            norms = zip(self._taps, self.norms, strict=True) if self.out_norm == 'layer' else ()
            self.unfilled = timm_weights.load_from_file(
                self.model, self.model_name, self.pretrained, [*norms]
            )
        self._is_init = True

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Extract features.

        Args:
            x: images, (N, C, H, W), normalised with ``mean`` and ``std``; any H and W.

        Returns:
            ``len(channels)`` maps, finest first: the map of stride s is (N, channels[i],
            ceil(H / s), ceil(W / s)); with ``class_token`` also their ``class_tokens``, (N,
            channels[i]). With ``output='pooled'`` and ``'logits'``: one tensor (N, channels[0]).

        Raises:
            BackboneError: not (N, C, H, W), without pixels, or other channels than ``in_chans``.
        """
        if x.ndim != 4 or x.shape[1] != self.in_chans or not x.shape[2] or not x.shape[3]:
            raise BackboneError(
                f'{self.model_name} got images of {" x ".join(map(str, x.shape))}: it takes '
                f'N x C x H x W with {self.in_chans} channels (model.backbone.in_chans) and 1 x 1 '
                'or more pixels.'
            )
        height, width = x.shape[2:]
        if self.output == 'logits':
            return (self.model(self._tell(self.canvas.fit(x))),)
        if self.output == 'pooled':
            features = self.model.forward_features(self._tell(self.canvas.fit(x)))
            return (self.model.forward_head(features, pre_logits=True),)
        found = self.model.forward_intermediates(
            self._tell(self.canvas.lay(x)),
            indices=self._indices,
            norm=self._norm,
            stop_early=True,
            intermediates_only=True,
            output_fmt=self._output_fmt,
            **(dict(return_prefix_tokens=True) if self._class_token else {}),
        )
        class_tokens = []
        if self._class_token:
            found, prefixes = zip(*found, strict=True)
            class_tokens = [
                self.canvas.average(prefixes[i][:, 0], (height, width)) for i in self._positions
            ]
        if self._output_fmt == 'NLC':
            stride = self.strides[0]  # of a plain model, throughout
            found = [self.canvas.fold(tokens, stride, (height, width)) for tokens in found]
        maps = self.canvas.lift([found[i] for i in self._positions], self.strides, (height, width))
        if self.out_norm == 'layer':
            maps = [norm(m) for norm, m in zip(self.norms, maps, strict=True)]
        return FeatureMaps(maps, (height, width), class_tokens)

    def _tell(self, images: torch.Tensor) -> torch.Tensor:
        return self._windows.tell(images) if self._windows else images


def _several(numbers: int | Sequence[int]) -> Sequence[int]:
    return (numbers,) if isinstance(numbers, int) else numbers
