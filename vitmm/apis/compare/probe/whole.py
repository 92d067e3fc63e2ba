"""Images as a whole: one class each, or any number of labels."""

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from mmpretrain.evaluation import Accuracy
from mmpretrain.structures import DataSample, label_to_onehot
from torch import nn

from vitmm.apis.compare.jobs import plain
from vitmm.apis.compare.per_class import ask, take_apart
from vitmm.apis.compare.probe.fit import fit, fit_classes, recalls
from vitmm.apis.compare.testing import class_names
from vitmm.apis.knn import feature_batches, features_of, plain_loaders, vote

_NEIGHBOURS = 10
_AT_ONCE = 1024  # images


def classify(model: nn.Module, cfg: Config, amp: bool) -> tuple[dict, dict]:
    """Accuracy of a linear classifier and of the nearest neighbours; recalls."""
    train, test = (Runner.build_dataloader(loader) for loader in plain_loaders(cfg))
    names = class_names(cfg)
    count = cfg.model.head.num_classes
    bank, labels = features_of(model, train, 'training images', amp)
    features, truths = features_of(model, test, 'test images', amp)
    classifier = fit_classes(zip(bank.split(_AT_ONCE), labels.split(_AT_ONCE), strict=True), count)
    k = min(_NEIGHBOURS, len(bank))
    votes = vote(features, bank, labels, k, 0.07, count)
    scored = classifier(features)
    scores = {
        'linear/top1': float(Accuracy.calculate(scored, truths)[0][0]),
        f'knn{k}/top1': float(Accuracy.calculate(votes, truths)[0][0]),
    }
    return scores, recalls(scored.argmax(1), truths, names)


def several_labels(model: nn.Module, cfg: Config, amp: bool) -> tuple[dict, dict]:
    """The recipe's metrics of yes and no fitted as 1 and 0, which its threshold then divides."""
    train, test = (Runner.build_dataloader(loader) for loader in plain_loaders(cfg))
    names = class_names(cfg)

    def shown(sample: DataSample) -> torch.Tensor:
        return label_to_onehot(sample.gt_label, len(names))[None].float()

    scores = fit(feature_batches(model, train, 'training images', amp, shown))
    metric = Evaluator(ask(cfg.test_evaluator))
    metric.dataset_meta = test.dataset.metainfo
    for features, truth in feature_batches(model, test, 'test images', amp, shown):
        samples = [
            DataSample().set_gt_score(there).set_pred_score(score)
            for there, score in zip(truth, scores(features), strict=True)
        ]
        metric.process(data_samples=samples)
    found, what, values = take_apart(plain(metric.evaluate(len(test.dataset))), names)
    return found, {'what': what, 'values': values}
