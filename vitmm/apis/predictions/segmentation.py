"""A class for each pixel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vitmm.apis.predictions.confusion import Confusion
from vitmm.apis.predictions.drawing import colour_regions, mark
from vitmm.apis.predictions.task import Analysis, Key, Panel, rank
from vitmm.datasets.errors import DataError
from vitmm.inference.palette import colours


class Segmentation:
    """Ranks by the mean IoU of the classes that are in an image's truth.

    Args:
        classes: names.
        palette: a colour (R, G, B) of each, 0 to 255, or None.
        ignore_index: the label of pixels that do not count.
    """

    def __init__(
        self,
        classes: Sequence[str],
        palette: Sequence[Sequence[int]] | None,
        ignore_index: int,
    ) -> None:
        self.classes, self.ignore_index = classes, ignore_index
        self.palette = colours(palette, classes)

    def read(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Note how many pixels of each class were predicted as each; keep both maps for drawing."""
        if 'gt_sem_seg' not in sample:
            raise DataError(
                f'{sample.get("img_path")} has no mask: there is nothing to compare. Does the test '
                'pipeline load annotations?'
            )
        predicted = sample['pred_sem_seg']['data'].squeeze(0)
        truth = sample['gt_sem_seg']['data'].squeeze(0).to(predicted)
        if truth.shape != predicted.shape:
            raise DataError(
                f'{sample.get("img_path")}: the mask has {tuple(truth.shape)} pixels, the '
                f'prediction {tuple(predicted.shape)}. Resize before the annotations are loaded.'
            )
        number = len(self.classes)
        known = (truth != self.ignore_index) & (truth >= 0) & (truth < number)
        codes, counts = torch.unique(
            truth[known].long() * number + predicted[known], return_counts=True
        )
        # Few of the number^2 pairs are in one image: no matrix is kept for each.
        pairs = codes.cpu().numpy(), counts.cpu().numpy()
        value = mean_iou(*pairs, number)
        kind = np.uint8 if number < 256 and self.ignore_index < 256 else np.int32
        return {
            'pairs': pairs,
            'value': value,
            'cost': -1.0 if value is None else 1 - value,
            'kept': (truth.cpu().numpy().astype(kind), predicted.cpu().numpy().astype(kind)),
        }

    def analyse(self, records: list[dict[str, Any]]) -> Analysis:
        """Rank, and add up the confusions of all pixels."""
        number = len(self.classes)
        counts = np.zeros(number**2, np.int64)
        for one in records:
            codes, pixels = one.pop('pairs')
            counts[codes] += pixels
            truth, predicted = np.divmod(codes, number)
            wrong = truth != predicted
            share = pixels[wrong].sum() / pixels.sum() if len(codes) else None
            one['row'] = {'wrong_pixels': share, 'worst_confusion': ''}
            one['words'] = 'nothing is known of its pixels' if share is None else 'all right'
            if wrong.any():
                at = np.flatnonzero(wrong)[pixels[wrong].argmax()]
                pair = f'{self.classes[truth[at]]} taken for {self.classes[predicted[at]]}'
                one['row']['worst_confusion'] = pair
                one['words'] = f'{share:.1%} of the pixels wrong, most: {pair}'
        return Analysis(
            short='mIoU',
            measure='mean IoU of the classes in its truth',
            ranked=rank(records),
            confusion=Confusion(counts.reshape(number, number), self.classes, 'pixels'),
        )

    def draw(
        self, picture: np.ndarray, record: Mapping[str, Any], factor: float
    ) -> tuple[list[Panel], list[Key]]:
        """Truth, prediction, and the pixels that differ, in red; ignored ones are grey."""
        truth, predicted = record['kept']
        size = picture.shape[:2]
        nothing = truth == self.ignore_index
        labels = np.union1d(np.unique(truth), np.unique(predicted)).tolist()
        return [
            ('truth', colour_regions(picture, truth, self.palette)),
            ('prediction', colour_regions(picture, predicted, self.palette)),
            ('wrong', mark(picture, (truth != predicted) & ~nothing, nothing, size)),
        ], [(self.classes[k], self.palette[k]) for k in labels if 0 <= k < len(self.classes)]


def mean_iou(codes: np.ndarray, counts: np.ndarray, classes: int) -> float | None:
    """The mean over the classes in the truth of intersection over union.

    Args:
        codes: truth x ``classes`` + prediction of the pairs that occur, (P,).
        counts: pixels of each, (P,).
        classes: their number.

    Returns:
        0 to 1, or None where no pixel is known.
    """
    truth, predicted = np.divmod(codes, classes)
    in_truth = np.bincount(truth, counts, classes)
    in_both = np.bincount(truth[truth == predicted], counts[truth == predicted], classes)
    union = in_truth + np.bincount(predicted, counts, classes) - in_both
    present = in_truth > 0
    return float((in_both[present] / union[present]).mean()) if present.any() else None
