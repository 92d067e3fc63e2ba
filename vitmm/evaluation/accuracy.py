"""mmpretrain's accuracy without keeping every score."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.evaluation import Accuracy as MMPretrainAccuracy


class Accuracy(MMPretrainAccuracy):
    """mmpretrain's ``Accuracy``, the same figures from a rank and a score an image.

    mmpretrain's keeps the scores of all classes of all images until the end: 200 MB for ImageNet's
    validation images, which the processes then send to each other. Takes the same arguments.
    """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note at which rank each image's label was found, and with what score."""
        if not all('pred_score' in sample for sample in data_samples):
            super().process(data_batch, data_samples)
            return
        scores = torch.stack([sample['pred_score'] for sample in data_samples]).float()
        labels = torch.stack([sample['gt_label'].squeeze() for sample in data_samples])
        if max(self.topk) > scores.shape[1]:  # mmpretrain's message
            self.calculate(scores, labels, self.topk, self.thrs)
        best, classes = scores.topk(max(self.topk), dim=1)
        found = classes == labels[:, None].to(classes)
        # One behind the last where the label is none of the best.
        rank = torch.where(found.any(1), found.int().argmax(1), max(self.topk))
        score = best.gather(1, rank.clamp(max=max(self.topk) - 1)[:, None])[:, 0]
        self.results += torch.stack([rank.double(), score.double()], dim=1).tolist()

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Percentages, named as mmpretrain names them."""
        if isinstance(results[0], dict):
            return super().compute_metrics(results)
        rank, score = torch.tensor(results, dtype=torch.float64).unbind(1)
        metrics = {}
        for k in self.topk:
            for threshold in self.thrs:
                name = f'top{k}'
                if len(self.thrs) > 1:
                    name += '_no-thr' if threshold is None else f'_thr-{threshold:.2f}'
                right = (rank < k) & (score > (-torch.inf if threshold is None else threshold))
                metrics[name] = 100 * right.double().mean().item()
        return metrics
