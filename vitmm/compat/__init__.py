"""What makes mmdet, mmsegmentation and mmpretrain run on today's torch, with nothing compiled.

Can go when mmcv publishes wheels for today's torch and MMEngine loads its own checkpoints
under ``weights_only=True``; each file below names its own day.
"""

import warnings

from vitmm.compat.requirements import MmcvError, check_mmcv

__all__ = ['MmcvError', 'apply', 'check_mmcv']


def apply() -> None:
    """Make the OpenMMLab stack importable and its checkpoints loadable; harmless when repeated.

    Raises:
        MmcvError: mmcv is missing, of a version that mmdet refuses, or half installed.
    """
    # MMEngine imports it for mmdet::… configs; setup.py keeps the setuptools that has it.
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated', UserWarning)
    if not check_mmcv().compiled:
        from vitmm.compat import mmcv_ops

        mmcv_ops.install()
    from vitmm.compat import (
        annotation_files,
        checkpoint,
        hidden_folders,
        mmcv_deform,
        mmcv_hue,
        mmdet_points,
        mmdet_voc,
        mmengine_lock,
        mmpretrain_extra_norm,
        mmpretrain_multimodal,
        mmseg_dm_head,
        mmseg_losses,
        plots_later,
        sync_bn,
    )

    annotation_files.install()
    checkpoint.allow_mmengine_classes()
    mmcv_deform.install()
    mmcv_hue.install()
    plots_later.install()
    mmdet_points.install()
    mmdet_voc.install()
    mmengine_lock.install()
    hidden_folders.install()
    mmpretrain_extra_norm.install()
    mmpretrain_multimodal.install()
    mmseg_dm_head.install()
    mmseg_losses.install()
    sync_bn.install()
