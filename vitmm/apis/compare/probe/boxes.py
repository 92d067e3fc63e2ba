"""Detection: the class of each labelled box."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn
from torchvision.ops import roi_align
from tqdm import tqdm

from vitmm.apis.compare.probe.fit import Pairs, fit_classes, recalls
from vitmm.apis.compare.testing import class_names
from vitmm.apis.knn import plain_loaders

_BINS = 7  # a side, that a box is averaged over, as detectors pool it


def name_boxes(model: nn.Module, cfg: Config, amp: bool) -> tuple[dict, dict]:
    """Accuracy over all boxes; recalls."""
    train, test = (Runner.build_dataloader(loader) for loader in plain_loaders(cfg))
    names = class_names(cfg)
    classifier = fit_classes(_boxes(model, train, 'training images', amp), len(names))
    found, truths = [], []
    for features, labels in _boxes(model, test, 'test images', amp):
        found.append(classifier(features).argmax(1))
        truths.append(labels)
    answers, truth = torch.cat(found), torch.cat(truths)
    scores = {'boxes/top1': 100 * float((answers == truth).double().mean())}
    return scores, recalls(answers, truth, names)


@torch.inference_mode()
def _boxes(model: nn.Module, loader: Any, what: str, amp: bool) -> Pairs:
    for batch in tqdm(loader, desc=what):
        data = model.data_preprocessor(batch)
        images, samples = data['inputs'], data['data_samples']
        boxes, labels = [], []
        for sample in samples:
            found = sample.gt_instances.bboxes
            found = getattr(found, 'tensor', found).to(images)
            # Labels are loaded after resizing, in pixels of the file.
            boxes.append(found * found.new_tensor(sample.scale_factor).repeat(2))
            labels.append(sample.gt_instances.labels.to(images.device))
        if not sum(map(len, labels)):
            continue
        with torch.autocast(images.device.type, torch.bfloat16, enabled=amp):
            maps = model.backbone(images)
        strides = [images.shape[2] / one.shape[2] for one in maps]
        pooled = [
            roi_align(one.float(), boxes, _BINS, 1 / stride, 2, aligned=True).mean((2, 3))
            for one, stride in zip(maps, strides, strict=True)
        ]
        yield torch.cat(pooled, 1), torch.cat(labels)
