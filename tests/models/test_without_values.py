"""On a GPU that has no values: nothing can be read from it, and tensors of two devices do not meet.

Under torch's FakeTensorMode a tensor has a shape, a type and a device, also one that this machine
lacks. What runs so on a GPU makes the CPU wait for none of it, in any operator.
"""

import pytest
import torch
from families import FAMILIES
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from support import CONFIGS
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn.functional import pad

from vitmm.config.load import load_config
from vitmm.config.resolve import resolve
from vitmm.datasets import write_rooms
from vitmm.models import TimmBackbone
from vitmm.models.halts import avoid_halts
from vitmm.models.precision import use_full_precision_in_losses

RECIPES = [
    'cls/vit_linear',
    'cls/resnet_multilabel',
    'det/vit_retinanet',
    'det/convnext_mask_rcnn',
    'seg/swin_upernet',
    'seg/pvt_segformer',
    'depth/vit_depth',
    'mim/vit_mae',
]
BACKBONES = [
    dict(model_name='test_vit', window_size=3, global_blocks=1),
    dict(model_name='test_convnext'),
    dict(model_name='eva02_tiny_patch14_224', window_size=5, global_blocks=1),
    *(
        pytest.param(dict(model_name=name), marks=pytest.mark.slow)
        for name in FAMILIES
        if name != 'sequencer2d_s'  # its LSTM asks the driver how weights lie in memory
    ),
]


def send(model):
    """Put the weights on a GPU that is not there."""
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    fake = torch.empty(tensor.shape, dtype=tensor.dtype, device='cuda')
                    is_weight = held is module._parameters
                    held[name] = (
                        torch.nn.Parameter(fake, tensor.requires_grad) if is_weight else fake
                    )
        if hasattr(module, '_device'):  # of data preprocessors
            module._device = torch.device('cuda')


def stack(images, divisor=1, value=0, **others):
    """MMEngine's ``stack_batch``, which reads sizes from tensors of the CPU."""
    sides = [max(image.shape[n] for image in images) for n in (-2, -1)]
    height, width = (-(-side // divisor) * divisor for side in sides)
    return torch.stack(
        [
            pad(image, (0, width - image.shape[-1], 0, height - image.shape[-2]), value=value)
            for image in images
        ]
    )


@pytest.fixture
def told(monkeypatch):
    """What R-CNNs of two images have to be told: numbers of proposals, samples, regions a level.

    Their masks wait in memory of the CPU that no driver is there to pin.
    """
    from vitmm.models.halts import levels, masks, proposals, samples

    count, positives = 300, 20

    def nms(boxes, scores, iou_threshold):
        return None, torch.arange(count, device=boxes.device)

    def of_samples(numbers):
        return [positives, count - positives]

    regions = iter([[2 * count, 0, 0, 0], [positives, 0, positives, 0]])  # of boxes, of masks
    monkeypatch.setattr(proposals, 'nms', nms)
    monkeypatch.setattr(samples, 'read', of_samples)
    monkeypatch.setattr(levels, 'read', lambda numbers: next(regions))
    monkeypatch.setattr(masks, '_send', lambda tensor, device: tensor.to(device))


@pytest.mark.usefixtures('told')
@pytest.mark.parametrize('recipe', RECIPES)
def test_losses_come_without_a_value(recipe, tiny_options, tmp_path, monkeypatch):
    """Under autocast, which changes types as well."""
    import mmpretrain.models  # noqa: F401 (stack_batch is replaced there)

    for module in ('mmengine.model.base_model', 'mmpretrain.models.utils'):
        monkeypatch.setattr(f'{module}.data_preprocessor.stack_batch', stack)
    precision = 'vitmm.models.precision.autocast'
    monkeypatch.setattr(precision, lambda enabled: torch.autocast('cuda', enabled=enabled))
    config = load_config(CONFIGS / f'{recipe}.py')
    if recipe == 'depth/vit_depth':
        options = {'data_root': str(write_rooms(tmp_path / 'rooms', 2, 1)), 'prepare_data': None}
    else:
        options = {key: tiny_options[key] for key in ('data_root', 'prepare_data')}
    config.merge_from_dict(options)
    config = resolve(config)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        from mmengine.registry import DATASETS, MODELS

        data = DATASETS.build(config.train_dataloader.dataset)
        model = MODELS.build(config.model).train()
        avoid_halts(model)
        use_full_precision_in_losses(model)
        batch = pseudo_collate([data[0], data[1]])
        with FakeTensorMode(allow_non_fake_inputs=True):
            send(model)
            batch = model.data_preprocessor(batch, training=True)
            with torch.autocast('cuda', torch.bfloat16):
                losses = model(**batch, mode='loss')
            loss, _ = model.parse_losses(losses)
        assert (loss.device.type, loss.dtype, loss.requires_grad) == ('cuda', torch.float32, True)


@pytest.mark.parametrize('settings', BACKBONES, ids=lambda settings: settings['model_name'])
def test_maps_come_without_a_value(settings):
    backbone = TimmBackbone(**settings).train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        send(backbone)
        for amp in (False, True):
            with torch.autocast('cuda', torch.bfloat16, enabled=amp):
                maps = backbone(torch.empty(2, 3, 224, 250, device='cuda'))
            for level, channels, stride in zip(
                maps, backbone.channels, backbone.strides, strict=True
            ):
                assert level.device.type == 'cuda'
                assert level.shape == (2, channels, -(-224 // stride), -(-250 // stride))


def test_a_value_cannot_be_read():
    with FakeTensorMode(), pytest.raises(DataDependentOutputException):
        torch.ones(3, device='cuda').sum().item()
    with FakeTensorMode(), pytest.raises(RuntimeError, match='device'):
        torch.ones(3, device='cuda') + torch.ones(3)
