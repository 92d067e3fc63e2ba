"""One image through a model, with everything kept that shall be shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import BaseDataElement

from vitmm.apis.network_inputs import network_picture, preprocessor_config
from vitmm.errors import BackboneError
from vitmm.inference.predictor import Predictor
from vitmm.inference.scope import in_scope
from vitmm.visualization.attending import Attended, AttentionWatch
from vitmm.visualization.attention import AttentionMaps, choose_blocks, lay_attention, rollout
from vitmm.visualization.capturing import Level, capture
from vitmm.visualization.grad_cam import grad_cams
from vitmm.visualization.placing import Placing
from vitmm.visualization.scores import Scores, score


@dataclass
class Look:
    """What a model made of one image.

    Attributes:
        picture: (H, W, 3) uint8 RGB, as the network sees it, without padding.
        levels: (label, (C, h, w) float32, pitch) of each map of the backbone, finest first.
        neck: likewise of the neck.
        attention: or None.
        scores: or None.
        cams: of each label, the level and its Grad-CAM (h, w) float32.
    """

    picture: np.ndarray
    levels: list[tuple[str, torch.Tensor, tuple[float, float]]]
    neck: list[tuple[str, torch.Tensor, tuple[float, float]]]
    attention: AttentionMaps | None
    scores: Scores | None
    cams: dict[int, list[tuple[Level, torch.Tensor]]]


class Looker:
    """Runs a model on images one by one; its parameters get no gradients from here on.

    Args:
        predictor: with the model.
        labels: the classes to score, or None for those that are found.
        threshold: of detections, 0 to 1.
        block: which attention, negative from the last; None for the last that can be laid.
        rolled: the rollout through all of them instead.
    """

    def __init__(
        self,
        predictor: Predictor,
        labels: Sequence[int] | None = None,
        threshold: float = 0.3,
        block: int | None = None,
        rolled: bool = False,
    ) -> None:
        self.predictor, self.model = predictor, predictor.model.requires_grad_(False)
        self.labels, self.threshold, self.rolled = labels, threshold, rolled
        self.block = block
        self._modules: list[str] | None = None
        self._settings = preprocessor_config(predictor.config)

    @property
    def name(self) -> str:
        """Of the backbone, for people."""
        backbone = self.model.backbone
        return getattr(backbone, 'model_name', type(backbone).__name__)

    @torch.no_grad()
    def modules(self, data: dict[str, Any]) -> list[str]:
        """The names of the modules of the backbone that attend, in their order."""
        if self._modules is None:
            inputs, _ = self._batch(data)
            with AttentionWatch(self.model.backbone) as watch:
                self._run(inputs, None)
            self._modules = watch.modules
        return self._modules

    @torch.no_grad()
    def maps(self, data: dict[str, Any]) -> list[torch.Tensor]:
        """The maps of the backbone, (C, h, w) float32 on the CPU, finest first; without padding.

        Raises:
            BackboneError: it gives none.
        """
        inputs, sample = self._batch(data)
        with capture(self.model) as levels:
            self._run(inputs, None)
        size = self._size(inputs, sample)
        return [_within(values, pitch, size) for _, values, pitch in _told(self._found(levels))]

    def look(self, data: dict[str, Any], attention: bool = False, scored: bool = False) -> Look:
        """Run one image.

        Args:
            data: what the test pipeline made of it.
            attention: keep the attention.
            scored: score classes, and go back from them.

        Raises:
            VitmmError: the model does not give what is asked for; the message says why.
        """
        keep: Sequence[int] = ()
        if attention:
            modules = self.modules(data)
            chosen = choose_blocks(modules, self.block, self.name)
            keep = range(len(modules)) if self.rolled else chosen
        inputs, sample = self._batch(data)
        inputs.requires_grad_(attention or scored)  # a frozen backbone has no other
        watch = AttentionWatch(self.model.backbone, keep, self.rolled)
        with torch.set_grad_enabled(attention or scored), capture(self.model) as levels:
            if attention:
                with watch:
                    scores = self._run(inputs, sample if scored else None)
            else:
                scores = self._run(inputs, sample if scored else None)
        found = self._found(levels)
        height, width = self._size(inputs, sample)
        cams = {k: grad_cams(s, found) for k, s in scores.scalars.items()} if scores else {}
        laid = None
        if attention:
            placing = Placing.of(self.model.backbone, tuple(inputs.shape[-2:]))
            kept = [watch.kept[n] for n in keep]
            laid = rollout(kept, placing) if self.rolled else self._lay(kept, keep, placing)
        picture = network_picture(inputs[0], self.model.data_preprocessor, self._settings)
        return Look(
            picture=picture[:height, :width],
            levels=_told(found),
            neck=_told(levels.get('neck', ())),
            attention=laid,
            scores=scores,
            cams=cams,
        )

    def _lay(
        self, kept: Sequence[Sequence[Attended]], numbers: Sequence[int], placing: Placing
    ) -> AttentionMaps:
        """The first that can be laid; the same block is taken for the images after."""
        for number, one in zip(numbers, kept, strict=True):
            try:
                laid = lay_attention(one, placing)
            except BackboneError:
                if number == numbers[-1]:
                    raise
            else:
                self.block = number
                return laid
        raise AssertionError('unreachable: the last is laid or raises')

    def _batch(self, data: dict[str, Any]) -> tuple[torch.Tensor, BaseDataElement]:
        batch = self.model.data_preprocessor(pseudo_collate([data]), False)
        return batch['inputs'].detach(), batch['data_samples'][0]

    def _run(self, inputs: torch.Tensor, sample: BaseDataElement | None) -> Scores | None:
        """Backbone and neck, and the heads where ``sample`` asks for scores."""
        p = self.predictor
        scope = in_scope(p.config.get('default_scope'))
        with scope, torch.autocast(p.device.type, torch.bfloat16, enabled=p.amp):
            if sample is None:
                self.model.extract_feat(inputs)
                return None
            return score(self.model, p.task, inputs, sample, self.labels, self.threshold)

    def _found(self, levels: dict[str, list[Level]]) -> list[Level]:
        if not levels.get('backbone'):
            raise BackboneError(
                f'{self.name} gives no maps here, and none of its blocks does: take a config '
                "whose backbone has output='maps'."
            )
        return levels['backbone']

    @staticmethod
    def _size(inputs: torch.Tensor, sample: BaseDataElement) -> tuple[int, int]:
        """(H, W) of the image in the network's input, without padding."""
        size = sample.get('img_shape') or inputs.shape[-2:]
        return tuple(min(s, n) for s, n in zip(size[:2], inputs.shape[-2:], strict=True))


def _told(levels: Sequence[Level]) -> list[tuple[str, torch.Tensor, tuple[float, float]]]:
    return [(one.label, one.values, one.pitch) for one in levels]


def _within(
    values: torch.Tensor, pitch: tuple[float, float], size: tuple[int, int]
) -> torch.Tensor:
    """Leave out the cells whose middle is outside an image of ``size``, but for one."""
    rows, columns = (max(1, round(side / p)) for side, p in zip(size, pitch, strict=True))
    return values[:, :rows, :columns]
