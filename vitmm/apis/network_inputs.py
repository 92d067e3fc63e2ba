"""Batches as the network gets them, and their pixels as one looks at them."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import MessageHub
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from vitmm.config.kinds import kind_of
from vitmm.engine.seeding import seed_everything
from vitmm.engine.viewing import to_picture
from vitmm.errors import ConfigError
from vitmm.inference.stored_model import building


class NetworkInputs:
    """One split of a config's data, behind its pipeline and its model's data preprocessor.

    The model itself is not built.

    Args:
        config: resolved.
        split: ``'train'``, ``'val'`` or ``'test'``; only in training do batch augments run.
        most: images of a batch, where the config's batches are larger.
        seed: of all random numbers; batches are loaded in this process, so that they repeat.

    Attributes:
        dataset: MMEngine's, wrapped or not.

    Raises:
        ConfigError: no such split, or a preprocessor that makes several views of an image.
    """

    def __init__(self, config: Config, split: str, most: int, seed: int) -> None:
        self.config, self.training, self.seed = config, split == 'train', seed
        loader = config.get(f'{split}_dataloader')
        if not loader:
            there = [s for s in ('train', 'val', 'test') if config.get(f'{s}_dataloader')]
            raise ConfigError(
                f'{config.filename} has no {split}_dataloader; choose of: {", ".join(there)}.'
            )
        loader = deepcopy(loader)
        loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
        loader.pop('prefetch_factor', None)
        loader.pop('timeout', None)
        if loader.get('batch_size'):
            loader.batch_size = min(loader.batch_size, most)
        with building(config):
            self.preprocessor = MODELS.build(preprocessor_config(config))
            self.loader = Runner.build_dataloader(loader, seed=seed)
        self.dataset: BaseDataset = self.loader.dataset

    def __iter__(self) -> Iterator[tuple[torch.Tensor, BaseDataElement | None]]:
        """Yield each image, (C, H, W) normalised, and its data sample, both as the network's."""
        seed_everything(self.seed, 0, 0)  # as EpochSeedHook before the first epoch
        hub = MessageHub.get_current_instance()
        with DefaultScope.overwrite_default_scope(self.config.get('default_scope') or 'mmengine'):
            for number, batch in enumerate(self.loader):
                hub.update_info('iter', number)  # some batch augments count
                done = self.preprocessor(batch, training=self.training)
                inputs = done['inputs'] if isinstance(done, Mapping) else None
                if not isinstance(inputs, torch.Tensor):
                    raise ConfigError(
                        f'{type(self.preprocessor).__name__} makes several views of an image; one '
                        'of them can be shown.'
                    )
                samples = done.get('data_samples') or [None] * len(inputs)
                yield from zip(inputs, samples, strict=True)

    def picture(self, image: torch.Tensor) -> np.ndarray:
        """Undo the normalisation of (C, H, W): (H, W, 3) uint8 RGB, of more bands the first three.

        Exact up to rounding: the inverse of what the preprocessor did.
        """
        return network_picture(image, self.preprocessor, preprocessor_config(self.config))


def network_picture(
    image: torch.Tensor, preprocessor: torch.nn.Module, settings: Mapping[str, Any]
) -> np.ndarray:
    """Undo a preprocessor's normalisation of (C, H, W): (H, W, 3) uint8 RGB.

    Args:
        image: as the network gets it; of more bands the first three are shown.
        preprocessor: OpenMMLab's.
        settings: those that it was built with.
    """
    pixels = image.detach().cpu().double()
    if getattr(preprocessor, '_enable_normalize', False):
        mean, std = preprocessor.mean.cpu(), preprocessor.std.cpu()
        pixels = pixels * std.double() + mean.double()
    pixels = pixels.round().clip(0, 255).byte().permute(1, 2, 0).numpy()
    shown = to_picture(pixels)
    if pixels.shape[2] == 3 and not (settings.get('bgr_to_rgb') or settings.get('to_rgb')):
        shown = shown[..., ::-1]
    return np.ascontiguousarray(shown)


def preprocessor_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The data preprocessor as Runner and model would build it."""
    model = config['model']
    settings = dict(model.get('data_preprocessor') or config.get('data_preprocessor') or {})
    if kind_of(model) == 'ImageClassifier':  # mmpretrain fills this in
        settings.setdefault('type', 'mmpretrain.ClsDataPreprocessor')
        settings.setdefault('batch_augments', model.get('train_cfg'))
    settings.setdefault('type', 'mmengine.BaseDataPreprocessor')
    return settings
