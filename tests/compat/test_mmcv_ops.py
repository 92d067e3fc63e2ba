"""The stand-in as a module: who gets it, what it lacks, and how it says so."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import mmcv.ops
import pytest
import torch

from vitmm.compat import mmcv_ops
from vitmm.compat.mmcv_ops import MissingOpError

RUN = dict(capture_output=True, text=True, timeout=120)


def test_mmengine_sees_ops():
    from mmengine.utils.dl_utils import mmcv_full_available

    assert mmcv_full_available()
    assert importlib.util.find_spec('mmcv._ext').loader is not None
    assert 'vitmm' in mmcv.ops.get_compiler_version()


def test_an_op_that_we_lack_names_itself_and_the_way_out():
    boxes = torch.rand(3, 5)
    with pytest.raises(MissingOpError, match=r"'box_iou_rotated'.*mmcv>=2.0.0,<2.2.0"):
        mmcv.ops.box_iou_rotated(boxes, boxes)
    assert issubclass(MissingOpError, NotImplementedError)


def test_private_names_are_not_ops():
    assert not hasattr(sys.modules[mmcv_ops.NAME], '__path__')


def test_every_function_that_we_list_exists_and_is_one_of_mmcv():
    wanted = set()
    for file in Path(mmcv.ops.__file__).parent.glob('*.py'):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith('load_ext'):
                wanted |= {name.value for name in node.args[1].elts}
    for ops in mmcv_ops.OPS.values():
        for op in ops:
            assert op in wanted
            assert getattr(sys.modules[mmcv_ops.NAME], op).__name__ == op


def test_import_vitmm_is_enough_and_light():
    """In a new process: the three libraries import, and vitmm itself drags none of them in."""
    code = (
        'import sys, vitmm\n'
        'heavy = {"torchvision", "mmdet", "mmseg", "mmpretrain", "timm", "matplotlib", "cv2"}\n'
        'assert not heavy & set(sys.modules), heavy & set(sys.modules)\n'
        'import mmdet.models, mmseg.models, mmpretrain.models\n'
        'from mmengine.utils import is_installed; assert is_installed("mmdet")\n'
    )
    done = subprocess.run([sys.executable, '-c', code], **RUN)
    assert done.returncode == 0, done.stderr
    assert 'pkg_resources' not in done.stderr  # three warnings of each start from mmdet's configs


def test_a_compiled_mmcv_is_left_alone(monkeypatch):
    from vitmm import compat

    monkeypatch.setattr(compat, 'check_mmcv', lambda: compat.requirements.Mmcv('2.1.0', True))
    monkeypatch.delitem(sys.modules, mmcv_ops.NAME)
    compat.apply()
    assert mmcv_ops.NAME not in sys.modules
