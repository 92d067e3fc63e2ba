"""One result of several views of an image, where OpenMMLab's own way is not enough."""

from mmpretrain.models import AverageClsScoreTTA as Average
from mmpretrain.models.heads import MultiLabelClsHead
from mmpretrain.structures import DataSample


class AverageClsScoreTTA(Average):
    """mmpretrain's mean of scores, with the labels that follow from it.

    Its own keeps the label of the first view, so that metrics count one class, and pictures, tables
    and ``pred_label`` name another. ``tools/test.py --tta`` and the others take this in its place.
    """

    def _merge_single_sample(self, data_samples: list[DataSample]) -> DataSample:
        merged = super()._merge_single_sample(data_samples)
        scores, head = merged.pred_score, self.module.head
        if not isinstance(head, MultiLabelClsHead):
            labels = scores.argmax(keepdim=True)
        elif head.thr is not None:
            labels = (scores >= head.thr).nonzero()[:, 0]
        else:
            labels = scores.topk(head.topk).indices
        return merged.set_pred_label(labels)
