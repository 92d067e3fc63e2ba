"""mmpretrain is imported without mmdet, and mmdet still gets its class from there."""

import subprocess
import sys

import pytest
from support import CONFIGS

USE = """
from mmdet.registry import MODELS
from mmpretrain.models import utils
head = MODELS.build(dict(type='ResLayerExtraNorm', depth=50, norm_cfg=dict(type='BN')))
assert type(head) is utils.ResLayerExtraNorm and head.norm.num_features == 2048
"""


@pytest.mark.parametrize(
    'first',
    [
        'import vitmm, mmpretrain.models; assert "mmdet.models" not in sys.modules',
        'import vitmm, mmdet.models, mmpretrain.models',
        'import vitmm, mmpretrain.models, mmdet.models, vitmm.compat; vitmm.compat.apply()',
        'import mmpretrain; import vitmm; import mmpretrain.models, mmdet.models',
    ],
)
def test_mmdet_has_the_class_whichever_comes_first(first):
    code = f'import sys\n{first}\nimport mmdet.models\n{USE}'
    subprocess.run([sys.executable, '-c', code], check=True)


def test_a_classification_imports_its_own_package_alone(tiny_options, tmp_path):
    options = {**tiny_options, 'image_size': 32, 'resize_edge': 32}
    code = (
        'import sys\n'
        'from vitmm.apis.train import train\n'
        f'train({str(CONFIGS / "cls/vit_linear.py")!r}, work_dir={str(tmp_path)!r}, '
        f'options={options!r})\n'
        'found = {name.partition(".")[0] for name in sys.modules}\n'
        'assert "mmpretrain" in found and not found & {"mmdet", "mmseg"}\n'
        'assert "vitmm.apis.check_config" not in sys.modules\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
