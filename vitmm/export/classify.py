"""Classification as a graph."""

from torch import Tensor, nn

from vitmm.errors import ConfigError


class Classify(nn.Module):
    """Prepared images -> ``scores`` (N, classes), 0 to 1: softmax, or sigmoid of several labels.

    Raises:
        ConfigError: a head that is none of mmpretrain's linear kinds.
    """

    outputs = ('scores',)
    results = 'scores (N, classes), 0 to 1'
    batches = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        from mmpretrain.models.heads import ClsHead, MultiLabelClsHead

        if not isinstance(model.head, ClsHead | MultiLabelClsHead):
            raise ConfigError(
                f'{type(model.head).__name__} cannot be exported: no scores by class.'
            )
        self.model = model
        self.several = isinstance(model.head, MultiLabelClsHead)

    def forward(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor]:
        logits = self.model.head(self.model.extract_feat(images)).float()
        return (logits.sigmoid() if self.several else logits.softmax(1),)
