"""What frozen features know by themselves: the class that their nearest neighbours have."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.evaluation import Accuracy
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from vitmm.apis.checkpoints import check_belongs
from vitmm.apis.launch import build_runner, prepare
from vitmm.config.beside import beside_training
from vitmm.config.kinds import kind_of
from vitmm.datasets.sources import leaves
from vitmm.errors import ConfigError

_QUERIES = 256  # images a step: their likeness to all training images is in memory at once


def knn(
    config: str | Path,
    checkpoint: str | Path | None = None,
    *,
    neighbours: Sequence[int] = (10, 20),
    temperature: float = 0.07,
    work_dir: str | Path | None = None,
    amp: bool = False,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Classify the test images by the most similar training images; nothing is trained.

    As DINO (https://arxiv.org/abs/2104.14294) measures: the k training images whose features have
    the largest cosine vote for their class with exp(cosine / temperature). Training images go
    through the test pipeline. One process, on a GPU where there is one.

    Args:
        config: a recipe of classification whose backbone gives pooled features or maps.
        checkpoint: of that recipe; None for the backbone's own pretrained weights.
        neighbours: how many vote, each number measured.
        temperature: above 0; small ones count the nearest more.
        work_dir: where logs go; ``work_dirs/<config name>`` by default.
        amp: features under autocast to bfloat16.
        data: name or path of another data set for the recipe.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        ``knn<k>/top<n>`` in percent, n as ``test_evaluator.topk`` says, or 1.

    Raises:
        VitmmError: whatever the user can mend, in one message.
    """
    if temperature <= 0 or not neighbours or min(neighbours) < 1:
        raise ConfigError(
            f'knn: 1 or more neighbours and a temperature above 0, not {list(neighbours)} and '
            f'{temperature}.'
        )
    cfg = prepare(
        config,
        data=data,
        options=options,
        work_dir=work_dir,
        loaders=('train_dataloader', 'test_dataloader'),
    )
    _check(cfg)
    train, test = plain_loaders(cfg)
    cfg.load_from, cfg.resume = None if checkpoint is None else str(checkpoint), False
    if checkpoint is not None:
        check_belongs(cfg, checkpoint)
    runner = build_runner(beside_training(cfg, 'knn'))
    known, asked = Runner.build_dataloader(train), Runner.build_dataloader(test)
    if max(neighbours) > (count := len(known.dataset)):
        raise ConfigError(
            f'knn: {max(neighbours)} neighbours among {count} training images; --neighbours takes '
            f'{count} at most.'
        )
    if checkpoint is None:
        runner._init_model_weights()
    else:
        runner.load_or_resume()
    model = runner.model.eval()
    bank, labels = features_of(model, known, 'training images', amp)
    queries, truths = features_of(model, asked, 'test images', amp)
    topk = tuple(cfg.test_evaluator.get('topk') or (1,))
    found = {}
    for k in neighbours:
        scores = vote(queries, bank, labels, k, temperature, cfg.model.head.num_classes)
        accuracy = Accuracy.calculate(scores, truths, topk=topk)
        found |= {f'knn{k}/top{n}': float(a[0]) for n, a in zip(topk, accuracy, strict=True)}
    return found


def vote(
    queries: torch.Tensor,
    bank: torch.Tensor,
    labels: torch.Tensor,
    k: int,
    temperature: float,
    num_classes: int,
) -> torch.Tensor:
    """The votes of each query's k nearest by cosine.

    Args:
        queries: features (N, C).
        bank: features (M, C) of known class.
        labels: (M,).
        k: 1 to M.
        temperature: of the weights exp(cosine / temperature).
        num_classes: of the labels.

    Returns:
        The share of each class, (N, num_classes).
    """
    lengths = bank.norm(dim=1).clamp_min(1e-12)  # a second bank would take as much memory
    found = []
    for some in F.normalize(queries, dim=1).split(_QUERIES):
        likeness, nearest = (some @ bank.T / lengths).topk(k, dim=1)
        shares = (likeness / temperature).softmax(dim=1)  # the same votes, of sum 1
        scores = shares.new_zeros(len(some), num_classes)
        found.append(scores.scatter_add_(1, labels[nearest], shares))
    return torch.cat(found)


def _check(cfg: Config) -> None:
    head = cfg.model.get('head') or {}
    if kind_of(cfg.model) != 'ImageClassifier' or 'num_classes' not in head:
        raise ConfigError(
            'knn: a recipe of classification with a head on features, as '
            f'configs/cls/vit_linear.py is; this one has {cfg.model.type}, '
            f'{head.get("type", "no head")}.'
        )
    if 'MultiLabel' in head.type:
        raise ConfigError('knn: images of one class each; this recipe has several labels an image.')


def plain_loaders(cfg: Config) -> tuple[dict, dict]:
    """The loaders of the training and of the test images, in order and in the test pipeline."""
    test = cfg.test_dataloader
    train = deepcopy(test)
    train.dataset = deepcopy(cfg.train_dataloader.dataset)
    pipeline = leaves(test.dataset)[0].pipeline
    for dataset in leaves(train.dataset):
        dataset.pipeline = pipeline
    return train, test


def features_of(
    model: nn.Module, loader: torch.utils.data.DataLoader, what: str, amp: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (N, C) in float32 and classes (N,) of all images of a loader."""
    features, labels = [], []
    for found, truth in feature_batches(model, loader, what, amp):
        features.append(found)
        labels.append(truth)
    return torch.cat(features), torch.cat(labels)


@torch.inference_mode()
def feature_batches(
    model: nn.Module,
    loader: torch.utils.data.DataLoader,
    what: str,
    amp: bool,
    truth_of: Callable[[Any], torch.Tensor] = attrgetter('gt_label'),
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Features (N, C) in float32 and classes (N,), or whatever is true of each, batch by batch."""
    for batch in tqdm(loader, desc=what):
        data = model.data_preprocessor(batch)
        images = data['inputs']
        with torch.autocast(images.device.type, torch.bfloat16, enabled=amp):
            found = model.extract_feat(images, stage='neck')[-1].float()
        truth = torch.cat([truth_of(sample) for sample in data['data_samples']])
        yield found.mean((2, 3)) if found.dim() == 4 else found, truth
