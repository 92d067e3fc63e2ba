"""What plots is there when it is called, and is not imported before."""

import subprocess
import sys

START = """
import sys
import vitmm, mmdet.models, mmdet.evaluation, mmseg.models, lvis
from vitmm.registry import VISUALIZERS
for name in ('Cls', 'Det', 'Seg'):
    VISUALIZERS.build(dict(type=f'vitmm.{name}Visualizer', name=name))
assert 'matplotlib' not in sys.modules and 'seaborn' not in sys.modules
"""
TRACKS = """
from types import SimpleNamespace
import numpy as np
from mmdet.utils import imshow_mot_errors, mot_error_visualize
sys.modules['seaborn'] = SimpleNamespace(color_palette=lambda *args: [(1.0, 0.0, 0.0)] * 20)
image = np.zeros((60, 80, 3), np.uint8)
for _ in range(2):
    drawn = imshow_mot_errors(
        image.copy(), np.array([[5, 5, 40, 40, 0.9]]), np.array([1]), np.array([0]), show=False
    )
    assert drawn.any()
assert mot_error_visualize.imshow_mot_errors.__module__ == mot_error_visualize.__name__
"""
LVIS = """
import json, pathlib, sys
from lvis.vis import colormap
file = pathlib.Path(sys.argv[1])
file.write_text(json.dumps(dict(images=[], annotations=[], categories=[])))
plots = lvis.LVISVis(str(file))
assert type(plots).__name__ == 'LVISVis' and type(plots.lvis_gt) is lvis.LVIS
"""


def run(code, *args):
    subprocess.run([sys.executable, '-c', START + code, *map(str, args)], check=True)


def test_tracking_errors():
    run(TRACKS)


def test_lvis(tmp_path):
    run(LVIS, tmp_path / 'truth.json')
