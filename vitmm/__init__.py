"""vitmm: any timm backbone under OpenMMLab's heads.

Importing the package makes mmdet, mmsegmentation and mmpretrain work on today's torch
(``vitmm.compat``) and declares our registries; models load when a config asks for them.
"""

from vitmm import compat

__version__ = '0.1.0'

compat.apply()

# Only after compat: the registries import MMEngine, which must find a working stack.
from vitmm import registry  # noqa: E402  (compat comes first)

__all__ = ['__version__', 'compat', 'registry']
