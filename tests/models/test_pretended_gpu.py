"""Recipes on a GPU that is the CPU: no two devices meet, and no value is read that need not be."""

from collections import Counter

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from pretended_gpu import OnGPU, PretendedGPU, needs_no_driver, send
from support import CONFIGS
from torch.utils.data._utils.pin_memory import pin_memory

from vitmm.config.load import load_config
from vitmm.config.resolve import resolve
from vitmm.datasets import collate, write_rooms
from vitmm.models.halts import avoid_halts
from vitmm.models.precision import use_full_precision_in_losses

pytestmark = needs_no_driver
NONE: dict[str, int] = {}
# Of two images: the suppression of proposals; once how many samples there are, once or twice how
# many regions a level has.
BOXES = {'torchvision::nms': 2, 'aten::_to_copy to the CPU': 2}
MASKS = {'torchvision::nms': 2, 'aten::_to_copy to the CPU': 3}
MATCHES = {'aten::_to_copy to the CPU': 2}  # costs, of all layers and of the encoder
RECIPES = {
    'cls/resnet_multilabel': NONE,
    'cls/vit_linear': NONE,
    'depth/vit_depth': NONE,
    'det/convnext_dino': MATCHES,
    'det/convnext_mask_rcnn': MASKS,
    'det/vit_retinanet': NONE,
    'mim/vit_mae': NONE,
    'seg/pvt_segformer': NONE,
    'seg/swin_upernet': NONE,
}
SLOW = {
    'cls/convnext_linear': NONE,
    'cls/resnet_gem': NONE,
    'cls/swin_linear': NONE,
    'cls/vit_mlp': NONE,
    'depth/vit_dpt_depth': NONE,
    'det/convnext_retinanet': NONE,
    'det/mobilevit_retinanet': NONE,
    'det/pvt_cascade_rcnn': {'torchvision::nms': 2, 'aten::_to_copy to the CPU': 6},
    'det/resnet_deformable_detr': MATCHES,
    'det/resnet_fcos': NONE,
    'det/resnet_mask2former': {'aten::_to_copy to the CPU': 4, 'aten::_to_copy to the GPU': 2},
    'det/swin_cascade_mask_rcnn': {'torchvision::nms': 2, 'aten::_to_copy to the CPU': 9},
    'det/swin_faster_rcnn': BOXES,
    'det/vit_atss': NONE,
    'det/vit_faster_rcnn': BOXES,
    'det/vit_vitdet': MASKS,
    'seg/convnext_fcn': NONE,
    'seg/convnext_mask2former': {
        'aten::_to_copy to the CPU': 4,  # costs
        'aten::_unique2': 2,  # which classes an image has, and their masks
        'aten::index.Tensor': 2,
    },
    'seg/convnext_pspnet': NONE,
    'seg/efficientvit_segformer': NONE,
    'seg/resnet_deeplabv3': NONE,
    'seg/resnet_deeplabv3plus': NONE,
    'seg/resnet_unet': NONE,
    'seg/vit_dpt': NONE,
    'seg/vit_fcn': NONE,
    'seg/vit_segmenter': NONE,
    'seg/vit_upernet': NONE,
}


@pytest.mark.parametrize(
    'recipe, waits',
    [*RECIPES.items(), *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW.items())],
    ids=[*RECIPES, *SLOW],
)
def test_a_recipe_on_a_gpu(recipe, waits, tiny_options, tmp_path):
    """Its losses under autocast, and its validation."""
    config = load_config(CONFIGS / f'{recipe}.py')
    if recipe.startswith('depth/'):
        options = {'data_root': str(write_rooms(tmp_path / 'rooms', 2, 1)), 'prepare_data': None}
    else:
        options = {key: tiny_options[key] for key in ('data_root', 'prepare_data')}
    config.merge_from_dict(options)
    config = resolve(config)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        from mmengine.registry import DATASETS, MODELS

        data = DATASETS.build(config.train_dataloader.dataset)
        model = MODELS.build(config.model).train()
        model.init_weights()  # mmdet leaves some as the memory was, until then
        avoid_halts(model)
        use_full_precision_in_losses(model)
        with PretendedGPU() as gpu:
            send(model)
            for _ in range(2):  # the first sends the anchors
                gpu.waits.clear()
                batch = pin_memory(collate([data[0], data[1]]))  # as torch's loader does
                batch = model.data_preprocessor(batch, training=True)
                with torch.autocast('cuda', torch.bfloat16):
                    losses = model(**batch, mode='loss')
                loss, _ = model.parse_losses(losses)
            assert isinstance(loss, OnGPU)
            assert loss.dtype == torch.float32 and loss.requires_grad and loss.isfinite()
            gpu.waits.pop()  # the question whether it is finite
            assert Counter(gpu.waits) == waits
            if config.get('val_dataloader'):
                data = DATASETS.build(config.val_dataloader.dataset)
                evaluator = Evaluator(config.val_evaluator)
                evaluator.dataset_meta = data.metainfo
                batch = pin_memory(collate([data[0]]))
                with torch.no_grad(), torch.autocast('cuda', torch.bfloat16):
                    evaluator.process(model.eval().val_step(batch), batch)
                assert evaluator.evaluate(1)


def test_weighted_classes_and_ignored_pixels_of_a_segmentation():
    from mmseg.models.decode_heads import FCNHead
    from mmseg.structures import SegDataSample

    torch.manual_seed(0)
    weights = dict(type='mmseg.CrossEntropyLoss', class_weight=[1.0, 2.0, 0.5])
    ignored = dict(type='mmseg.CrossEntropyLoss', loss_name='loss_ignored', avg_non_ignore=True)
    head = FCNHead(in_channels=4, channels=4, num_classes=3, loss_decode=[weights, ignored])
    logits, labels = torch.randn(2, 3, 8, 8), torch.randint(3, (2, 1, 8, 8))
    labels[:, :, :4] = 255

    def losses(logits, labels):
        samples = [SegDataSample(gt_sem_seg=PixelData(data=one)) for one in labels]
        return head.loss_by_feat(logits, samples)

    expected = losses(logits, labels)
    avoid_halts(head)
    with PretendedGPU() as gpu:
        send(head)
        logits, labels = logits.pin_memory(), labels.pin_memory()
        sent = (one.to('cuda', non_blocking=True) for one in (logits, labels))
        found = losses(*sent)
        assert not gpu.waits
        for name, loss in expected.items():
            assert found[name].item() == pytest.approx(loss.item(), rel=1e-5)


def test_two_devices_do_not_meet():
    with PretendedGPU() as gpu:
        one = torch.ones(3, device='cuda')
        assert one.is_cuda
        assert torch.equal((one + torch.tensor(1.0)).cpu(), torch.full((3,), 2.0))
        with pytest.raises(RuntimeError, match=r'aten::add.*meet'):
            one + torch.ones(3)
        with pytest.raises(RuntimeError, match='indices of the GPU'):
            _ = torch.ones(3)[one.long()]
        with torch.autocast('cuda', torch.bfloat16):
            assert (torch.ones(2, 3, device='cuda') @ one).dtype == torch.bfloat16
    assert gpu.waits == ['aten::_to_copy to the CPU']


@pytest.mark.parametrize(
    'function, waits',
    [
        (lambda one: one.sum().item(), 1),
        (lambda one: bool(one.any()), 1),
        (lambda one: one.tolist(), 1),
        (lambda one: one.cpu(), 1),
        (lambda one: one[one > 0], 1),
        (lambda one: one[torch.tensor([0])], 1),
        (lambda one: one.nonzero(), 1),
        (lambda one: one.unique(), 1),
        (lambda one: one.new_tensor([1, 2]), 1),
        (lambda one: torch.tensor([1, 2], device='cuda'), 1),
        (lambda one: torch.ones(2).to('cuda'), 1),
        (lambda one: torch.ones(2).to('cuda', non_blocking=True), 1),
        (lambda one: torch.tensor(1.0, device='cuda'), 1),
        (lambda one: one.sum().cpu(), 1),
        (lambda one: one[(one > 0).to(torch.uint8)], 1),
        (lambda one: torch.ones(2).pin_memory().to('cuda', non_blocking=True), 0),
        (lambda one: one[one.argmax(keepdim=True)], 0),
        (lambda one: one * 2 + one.new_zeros(4), 0),
        (lambda one: one[1:].clamp_(min=0), 0),
        (lambda one: one.sort(descending=True).indices.topk(2), 0),
    ],
)
def test_waits_are_counted(function, waits):
    with PretendedGPU() as gpu:
        one = torch.arange(4.0, device='cuda')
        function(one)
    assert len(gpu.waits) == waits, gpu.waits
