"""The model to look into: a checkpoint, a published folder, a config, or a name of timm's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS as MMENGINE_MODELS
from timm.data import ImageNetInfo, infer_imagenet_subset
from torch import nn

from vitmm.config import load_config, resolve
from vitmm.config.load import merge_options
from vitmm.config.model_settings import model_settings
from vitmm.config.yaml_file import SUFFIXES
from vitmm.errors import BackboneError, ConfigError, WeightsError, did_you_mean
from vitmm.inference.predictor import Predictor
from vitmm.inference.stored_model import StoredModel, building, meta_of, read_model
from vitmm.models.backbones.timm_factory import check_name, create_meta

NO_WEIGHTS = 'none'
_KEY = 'model.backbone.pretrained'


class Fresh(StoredModel):
    """A model of a config, with no weights but the pretrained ones of its backbone."""

    def build(self) -> nn.Module:
        """Build the model, in eval mode, and load what ``model.backbone.pretrained`` says."""
        with building(self.config):
            model = MMENGINE_MODELS.build(model_settings(self.config))
        backbone = model.backbone
        if not getattr(backbone, 'pretrained', False):
            print_log(f'{self.path}: the backbone has random weights ({_KEY} is not set).',
                      'current', level=30)  # fmt: skip
        backbone.init_weights()
        return model.eval()


def open_model(
    model: str | Path,
    *,
    config: str | Path | None = None,
    weights: str | None = None,
    size: int | None = None,
    device: str = 'auto',
    amp: bool = False,
    options: Mapping[str, Any] | None = None,
) -> tuple[Predictor, str]:
    """Open what the user names.

    Args:
        model: a checkpoint or published folder, as :class:`Predictor` takes it; a config file,
            whose backbone has its pretrained weights; or any name of ``timm.list_models()``.
        config: of a checkpoint that holds none.
        weights: of a timm name: a file, or ``'none'``; by default timm's own, from its hub.
        size: pixels of the shorter side that images for a timm name are resized to; by default they
            are resized and cropped as timm does to test the model.
        device: as :class:`Predictor` takes it.
        amp: likewise.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        The predictor, and why there are no scores of classes to go back from, or ``''``.

    Raises:
        VitmmError: there is no such model, or it cannot be built.
    """
    path = Path(model)
    known = path.suffix in (*SUFFIXES, '.py', '.pth', '.safetensors') or path.exists()
    if (weights or size) and known:
        raise ConfigError(
            f'--weights and --size are for names of timm, and {model} is a file or folder. In a '
            f'config, --cfg-options {_KEY}=FILE names the weights.'
        )
    if path.is_file() and path.suffix in (*SUFFIXES, '.py'):
        stored: StoredModel = _of_config(resolve(load_config(path, None, options)), path)
    elif known:
        stored = read_model(path, config, options)
    else:
        stored = _of_timm(str(model), weights, size, options or {})
    # Checkpointing would run blocks a second time, unseen.
    if stored.config.model.backbone.get('grad_checkpointing'):
        stored.config.model.backbone.grad_checkpointing = False
    try:
        predictor = Predictor.of(stored, device=device, amp=amp)
    except WeightsError as error:
        if known:
            raise
        raise WeightsError(f'{error} Here these are --weights FILE and --weights none.') from error
    return predictor, _why_no_scores(predictor, isinstance(stored, Fresh))


def _of_config(config: Config, path: Path) -> Fresh:
    told = meta_of(config)
    return Fresh(path, config, {}, {}, told.get('classes'), told.get('palette'))


def _of_timm(name: str, weights: str | None, size: int | None, options: Mapping) -> Fresh:
    if not timm.is_model(name.partition('.')[0]):
        hint = did_you_mean(name.partition('.')[0], timm.list_models())
        raise BackboneError(
            f'there is no file or folder {name}, and timm {timm.__version__} has no such model.'
            f'{hint}'
        )
    check_name(name)
    twin = create_meta(name)
    classes = int(twin.pretrained_cfg.get('num_classes') or 0)
    there = dict(twin.named_modules())
    told = [one.get('module') in there for one in getattr(twin, 'feature_info', ())]
    whole = classes > 0 and bool(told) and all(told)  # its blocks can be found in its own forward
    pretrained = {NO_WEIGHTS: False, None: True}.get(weights, weights)
    if size:
        bring = [dict(type='mmpretrain.ResizeEdge', scale=size, edge='short', backend='torch',
                      interpolation='bicubic')]  # fmt: skip
    else:
        kept = ('size', 'interpolation', 'crop_pct', 'crop_mode')
        bring = [
            dict(type='vitmm.TimmEval', **{k: f'${{backbone.preprocessing.{k}}}' for k in kept})
        ]
    backbone = dict(type='vitmm.TimmBackbone', model_name=name, pretrained=pretrained)
    if whole:
        backbone.update(output='logits', num_classes=classes)
    config = Config(
        dict(
            default_scope='mmpretrain',
            custom_imports=dict(imports=['vitmm'], allow_failed_imports=False),
            model=dict(
                type='mmpretrain.ImageClassifier',
                data_preprocessor=dict(
                    type='mmpretrain.ClsDataPreprocessor',
                    mean='${backbone.mean}',
                    std='${backbone.std}',
                    to_rgb=True,
                ),
                backbone=backbone,
                head=dict(type='mmpretrain.ClsHead') if whole else None,
            ),
            test_dataloader=dict(
                dataset=dict(
                    type='mmpretrain.CustomDataset',
                    pipeline=[
                        dict(type='vitmm.LoadImage', channels='${backbone.in_chans}'),
                        *bring,
                        dict(type='vitmm.Planes'),
                        dict(type='mmpretrain.PackInputs'),
                    ],
                )
            ),
        )
    )
    merge_options(config, options, name)
    names = _imagenet_names(twin, classes)
    return Fresh(Path(name), resolve(config, {'data': {}}), {}, {}, names, None)


def _imagenet_names(model: nn.Module, classes: int) -> list[str] | None:
    subset = infer_imagenet_subset(model.pretrained_cfg)
    if not subset:
        return None
    names = ImageNetInfo(subset).label_descriptions()
    return [name.partition(',')[0] for name in names] if len(names) == classes else None


def _why_no_scores(predictor: Predictor, fresh: bool) -> str:
    model = predictor.model
    if predictor.task == 'depth':
        return 'a model of depth has no classes to score'
    if getattr(model, 'head', model) is None:
        return f'{model.backbone.model_name} is taken without a classifier'
    if not fresh:
        return ''
    others = [n for n, _ in model.named_parameters() if not n.startswith('backbone.')]
    if others:
        return f'the head of a config is not trained ({others[0]}): give a checkpoint'
    if not model.backbone.pretrained or model.backbone.unfilled:
        return 'the classifier has no weights'
    return ''
