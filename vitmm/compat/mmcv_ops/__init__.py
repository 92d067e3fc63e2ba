"""A stand-in for `mmcv._ext`, mmcv's compiled extension: torchvision's kernels and plain PyTorch.

mmcv's own Python wrappers stay in use. Each function here takes what the wrapper of that op
passes to the extension, and fills the out-parameters in place as the extension does. An op that
we lack can be imported, as the wrappers do at import, and says so when it is called.

Can go when mmcv publishes wheels for today's torch.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType

from vitmm.errors import VitmmError

NAME = 'mmcv._ext'

# file of this package -> the functions of `mmcv._ext` that it defines
OPS = {
    'nms': ('nms', 'softnms', 'nms_match'),
    'boxes': ('bbox_overlaps',),
    'roi_align': ('roi_align_forward', 'roi_align_backward'),
    'roi_pool': ('roi_pool_forward', 'roi_pool_backward'),
    'deform_roi_pool': ('deform_roi_pool_forward', 'deform_roi_pool_backward'),
    'focal_loss': (
        'sigmoid_focal_loss_forward',
        'sigmoid_focal_loss_backward',
        'softmax_focal_loss_forward',
        'softmax_focal_loss_backward',
    ),
    'deform_conv': (
        'deform_conv_forward',
        'deform_conv_backward_input',
        'deform_conv_backward_parameters',
        'modulated_deform_conv_forward',
        'modulated_deform_conv_backward',
    ),
    'deform_attn': ('ms_deform_attn_forward', 'ms_deform_attn_backward'),
    'masked_conv': ('masked_im2col_forward', 'masked_col2im_forward'),
    'carafe': (
        'carafe_forward',
        'carafe_backward',
        'carafe_naive_forward',
        'carafe_naive_backward',
    ),
    'psa_mask': ('psamask_forward', 'psamask_backward'),
    'sync_bn': (
        'sync_bn_forward_mean',
        'sync_bn_forward_var',
        'sync_bn_forward_output',
        'sync_bn_backward_param',
        'sync_bn_backward_data',
    ),
    'info': ('get_compiler_version', 'get_compiling_cuda_version'),
}
_FILE_OF = {op: file for file, ops in OPS.items() for op in ops}


class MissingOpError(VitmmError, NotImplementedError):
    """An op of compiled mmcv that vitmm does not provide was called."""


class _Extension(ModuleType):
    """Imports the file of an op at the first use of the op."""

    def __getattr__(self, name: str):
        if name.startswith('_'):
            raise AttributeError(f'module {NAME!r} has no attribute {name!r}')
        if name in _FILE_OF:
            op = getattr(import_module(f'{__name__}.{_FILE_OF[name]}'), name)
        else:
            op = _missing(name)
        setattr(self, name, op)
        return op


class _Loader:
    """MMEngine asks whether `mmcv._ext` has a loader, and takes no for "there are no ops"."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Extension(spec.name, __doc__)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _missing(name: str):
    def call(*args, **kwargs):
        raise MissingOpError(
            f'mmcv op {name!r} needs the compiled mmcv, and vitmm has no stand-in for it. Build '
            'mmcv>=2.0.0,<2.2.0 for this torch from source, in place of mmcv-lite '
            '(pip uninstall -y mmcv-lite first): vitmm uses it wherever it is installed.'
        )

    call.__name__ = name
    return call


def install() -> None:
    """Put the stand-in into `sys.modules`, unless something is there already."""
    if NAME not in sys.modules:
        spec = ModuleSpec(NAME, _Loader(), origin=__file__)
        sys.modules[NAME] = module_from_spec(spec)
