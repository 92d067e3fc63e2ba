"""Labels at the edges of a picture are as whole as one in its middle."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData
from support import CONFIGS

from vitmm.config import load_config
from vitmm.engine.det_visualizer import DetVisualizer
from vitmm.inference.drawing import task_visualizer

SIZE = 160  # pixels
PLACES = {
    'left, top': (0, 0),
    'right, top': (SIZE - 24, 0),
    'left, bottom': (0, SIZE - 8),
    'right, bottom': (SIZE - 24, SIZE - 8),
    'beyond': (SIZE - 2, SIZE - 2),
}


def ground(visualizer, x, y, name='rhinoceros'):
    """How many pixels the black ground of the label of a box at (x, y) has."""
    visualizer.dataset_meta = dict(classes=[name], palette=[(255, 255, 0)])
    boxes = torch.tensor([[x, y, min(x + 24, SIZE), min(y + 24, SIZE)]], dtype=torch.float32)
    found = InstanceData(bboxes=boxes, labels=torch.tensor([0]), scores=torch.tensor([0.9]))
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    visualizer.add_datasample('', image, DetDataSample(pred_instances=found), draw_gt=False)
    return int((visualizer.get_image().max(2) < 70).sum())


@pytest.fixture(scope='module')
def visualizer():
    return DetVisualizer()


@pytest.mark.parametrize('place', PLACES)
def test_a_label_is_whole(place, visualizer):
    whole = ground(visualizer, 40, 60)
    assert whole > 200
    assert ground(visualizer, *PLACES[place]) == pytest.approx(whole, rel=0.05)
    stock = ground(DetLocalVisualizer(), *PLACES[place])
    assert (stock < 0.8 * whole) is (place != 'left, top')  # or there was nothing to mend


def test_a_label_wider_than_the_picture_shows_its_beginning(visualizer):
    visualizer.set_image(np.full((SIZE, SIZE, 3), 255, np.uint8))
    visualizer.draw_texts('a' * 60, torch.tensor([SIZE - 24.0, 40.0]), font_sizes=9)
    (text,) = visualizer.ax_save.texts
    box = text.get_window_extent()
    assert box.width > SIZE and 0 <= box.x0 < 5


def test_the_recipes_draw_so():
    config = load_config(CONFIGS / 'det' / 'vit_retinanet.py')
    assert isinstance(task_visualizer(config, 'det', ['a'], None), DetVisualizer)
