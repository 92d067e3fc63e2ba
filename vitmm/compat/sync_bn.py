"""``sync_bn`` for timm's batch norms, which hold an activation.

MMEngine 0.10 makes plain ``SyncBatchNorm`` of them, and nothing calls the activation any more; and
what it makes forgets that its batch norm was at rest. Can go when MMEngine's
``convert_sync_batchnorm`` leaves classes derived from batch norms to their makers.
"""

from functools import wraps
from types import ModuleType

from vitmm.compat.after_import import after_import


def install() -> None:
    """Convert timm's batch norms as timm does; harmless when repeated."""
    after_import('mmengine.model.utils', _correct)


def _correct(utils: ModuleType) -> None:
    from torch import nn

    stock = utils.convert_sync_batchnorm

    @wraps(stock)
    def convert_sync_batchnorm(module: nn.Module, implementation: str = 'torch') -> nn.Module:
        from timm.layers import BatchNormAct2d
        from timm.layers import convert_sync_batchnorm as timms

        if isinstance(module, nn.SyncBatchNorm):
            return module
        if isinstance(module, BatchNormAct2d):
            return timms(module)
        converted = stock(module, implementation)
        converted.training = module.training
        return converted

    # The stock one calls itself by this name, for what is inside.
    utils.convert_sync_batchnorm = convert_sync_batchnorm
