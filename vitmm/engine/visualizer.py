"""Visualizers that OpenMMLab lacks; each loads its codebase when a config asks for it.

As MMEngine does with theirs, one of a name is built once. The Runner names it; OpenMMLab's tools
build it from a dumped config without.
"""

from typing import Any

from vitmm.registry import VISUALIZERS


@VISUALIZERS.register_module(name='ClsVisualizer')
def cls_visualizer(name: str = 'visualizer', **kwargs: Any) -> Any:
    """Build :class:`vitmm.engine.cls_visualizer.ClsVisualizer`."""
    from vitmm.engine.cls_visualizer import ClsVisualizer

    return ClsVisualizer.get_instance(name, **kwargs)


@VISUALIZERS.register_module(name='DetVisualizer')
def det_visualizer(name: str = 'visualizer', **kwargs: Any) -> Any:
    """Build :class:`vitmm.engine.det_visualizer.DetVisualizer`."""
    from vitmm.engine.det_visualizer import DetVisualizer

    return DetVisualizer.get_instance(name, **kwargs)


@VISUALIZERS.register_module(name='SegVisualizer')
def seg_visualizer(name: str = 'visualizer', **kwargs: Any) -> Any:
    """Build :class:`vitmm.engine.seg_visualizer.SegVisualizer`."""
    from vitmm.engine.seg_visualizer import SegVisualizer

    return SegVisualizer.get_instance(name, **kwargs)
