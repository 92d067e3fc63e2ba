"""Images of one shape as one tensor: what the model gets is the same."""

import torch
from mmengine.dataset import pseudo_collate
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.structures import DataSample

from vitmm.datasets import stack_images


def samples(*shapes):
    return [
        {
            'inputs': torch.randint(256, (3, *shape), dtype=torch.uint8),
            'data_samples': DataSample().set_gt_label(number),
        }
        for number, shape in enumerate(shapes)
    ]


def test_one_tensor_gives_the_model_the_same():
    data = samples((8, 6), (8, 6), (8, 6))
    batches = [collate(data) for collate in (stack_images, pseudo_collate)]
    assert batches[0]['inputs'].shape == (3, 3, 8, 6)
    assert batches[0]['inputs'].dtype == torch.uint8
    prepare = ClsDataPreprocessor(mean=[1, 2, 3], std=[4, 5, 6], to_rgb=True, pad_size_divisor=4)
    found, expected = (prepare(batch) for batch in batches)
    assert torch.equal(found['inputs'], expected['inputs'])
    assert [s.gt_label for s in found['data_samples']] == [s.gt_label for s in data_samples(data)]


def data_samples(data):
    return [sample['data_samples'] for sample in data]


def test_images_of_other_shapes_stay_a_list():
    batch = stack_images(samples((8, 6), (6, 8)))
    assert [tuple(image.shape) for image in batch['inputs']] == [(3, 8, 6), (3, 6, 8)]
