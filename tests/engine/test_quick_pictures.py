"""The same pixels as the codebases' own visualizers, whatever was drawn before."""

import copy
import warnings

import matplotlib
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData, PixelData
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer
from support import CONFIGS, RECIPES

from vitmm.config import load_config
from vitmm.engine.cls_visualizer import ClsVisualizer
from vitmm.engine.det_visualizer import DetVisualizer
from vitmm.engine.quick_pictures import QuickPictures
from vitmm.engine.seg_visualizer import SegVisualizer
from vitmm.inference.drawing import task_visualizer

same_sampling = pytest.mark.skipif(
    tuple(map(int, matplotlib.__version__.split('.')[:2])) < (3, 11),
    reason='matplotlib resamples images of their own size here, on the side of OpenMMLab',
)
NAMES = [f'class {n}' for n in range(6)]
META = dict(classes=NAMES, palette=[(40 * n, 255 - 40 * n, 90) for n in range(6)])
# In turn on one visualizer: sizes that differ, and one that comes again.
SIZES = [(120, 160), (201, 333), (120, 160), (331, 97), (1, 1), (57, 64)]


@pytest.fixture
def random():
    return np.random.default_rng(0)


def both(ours, theirs):
    made = ours(), theirs()
    for one in made:
        one.dataset_meta = META
    assert isinstance(made[0], QuickPictures) and isinstance(made[0], theirs)
    return made


def same(random, pair, work, sizes=SIZES):
    """Both do the work on each image, from the same random numbers, and draw the same."""
    for height, width in sizes:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        pictures = []
        for one in pair:
            np.random.seed(1)
            work(one, image.copy())
            pictures.append(one.get_image())
            assert np.array_equal(one.get_image(), pictures[-1])
        assert pictures[0].shape == pictures[1].shape == image.shape
        assert pictures[0].dtype == np.uint8
        np.testing.assert_array_equal(*pictures)


def instances(random, height, width, count, masks, bitmaps=False):
    """Boxes whose labels lie inside the picture, where vitmm moves none."""
    corners = random.uniform(0, 0.4, (count, 2)) * (width, height)
    ends = corners + random.uniform(0.05, 0.5, (count, 2)) * (width, height)
    found = InstanceData(
        bboxes=torch.tensor(np.hstack([corners, ends]), dtype=torch.float32),
        labels=torch.tensor(random.integers(0, 6, count)),
        scores=torch.tensor(random.uniform(0.31, 1, count)),
    )
    if masks:
        drawn = random.random((count, height, width)) < 0.02
        for mask, (x, y), (a, b) in zip(drawn, corners.astype(int), ends.astype(int), strict=True):
            mask[y:b, x:a] = True
        drawn[1::2] = False  # nothing at all
        packed = BitmapMasks(drawn.astype(np.uint8), height, width)
        found.masks = packed if bitmaps else torch.from_numpy(drawn)
    return found


@same_sampling
@pytest.mark.parametrize(('count', 'masks'), [(5, False), (5, True), (0, False), (0, True)])
def test_objects(random, count, masks):
    def work(visualizer, image):
        height, width = image.shape[:2]
        draw = np.random.default_rng(height)
        sample = DetDataSample(pred_instances=instances(draw, height, width, count, masks))
        visualizer.add_datasample('a', image, sample, draw_gt=False)

    sizes = [(420, 560), (601, 433), (420, 560)]
    same(random, both(DetVisualizer, DetLocalVisualizer), work, sizes)


@same_sampling
def test_truth_beside_predictions(random, tmp_path):
    """The file that shows both."""
    pair = both(DetVisualizer, DetLocalVisualizer)
    image = random.integers(0, 256, (420, 560, 3), np.uint8)
    sample = DetDataSample(
        pred_instances=instances(random, 420, 560, 3, True),
        gt_instances=instances(random, 420, 560, 3, True, bitmaps=True),
    )
    for name, one in zip('ab', pair, strict=True):
        np.random.seed(2)
        one.add_datasample('x', image, sample, out_file=str(tmp_path / f'{name}.png'))
    assert (tmp_path / 'a.png').read_bytes() == (tmp_path / 'b.png').read_bytes()


@same_sampling
@pytest.mark.parametrize('with_labels', [True, False])
def test_classes_of_pixels(random, with_labels):
    def work(visualizer, image):
        height, width = image.shape[:2]
        draw = np.random.default_rng(width)
        # Noise, blobs, single pixels, a class beyond those that have names.
        labels = draw.integers(0, 2, (height, width))
        labels[: height // 2, width // 3 :] = 4
        labels[-1, -1] = 5
        labels[0, 0] = 255
        data = PixelData(data=torch.tensor(labels)[None])
        sample = SegDataSample(pred_sem_seg=data)
        visualizer.add_datasample('a', image, sample, draw_gt=False, with_labels=with_labels)

    same(random, both(SegVisualizer, SegLocalVisualizer), work)


def test_classes_on_a_view_of_a_tensor(random):
    ours, _ = both(SegVisualizer, SegLocalVisualizer)
    image = random.integers(0, 256, (3, 40, 60), np.uint8)
    data = PixelData(data=torch.tensor(random.integers(0, 3, (1, 40, 60))))
    sample = SegDataSample(gt_sem_seg=data)
    drawn = []
    for laid in (image.transpose(1, 2, 0), np.ascontiguousarray(image.transpose(1, 2, 0))):
        ours.add_datasample('a', laid, sample, draw_pred=False)
        drawn.append(ours.get_image())
    np.testing.assert_array_equal(*drawn)


def test_the_middle_of_a_class(random):
    ours, theirs = both(SegVisualizer, SegLocalVisualizer)
    for density in (0.001, 0.05, 0.5, 1):
        for _ in range(20):
            mask = (random.random((31, 47)) < density).astype(np.uint8)
            mask[random.integers(31), random.integers(47)] = 1
            assert (ours._get_center_loc(mask) == theirs._get_center_loc(mask)).all()


@same_sampling
def test_depth(random):
    """It lies below its image."""
    pair = both(SegVisualizer, SegLocalVisualizer)
    for height, width in SIZES[:4]:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        depth = PixelData(data=torch.tensor(random.uniform(1, 9, (1, height, width))))
        for one in pair:
            one.add_datasample('a', image, SegDataSample(pred_depth_map=depth), draw_gt=False)
        pictures = [one.get_image() for one in pair]
        assert pictures[0].shape == (2 * height, width, 3)
        np.testing.assert_array_equal(*pictures)


@same_sampling
def test_classes_of_images(random):
    def work(visualizer, image):
        sample = DataSample().set_pred_label(2).set_pred_score(torch.tensor([0.1, 0.2, 0.7]))
        visualizer.visualize_cls(image, sample, classes=NAMES)

    same(random, both(ClsVisualizer, UniversalVisualizer), work)


@same_sampling
@pytest.mark.parametrize('kind', ['bboxes', 'lines', 'circles', 'points', 'polygons', 'texts'])
def test_whatever_is_drawn(random, kind):
    """MMEngine's own drawing, and masks upon it."""

    def work(visualizer, image):
        visualizer.set_image(image)
        height, width = image.shape[:2]
        draw = np.random.default_rng(height)
        points = draw.uniform(0.2, 0.8, (4, 2)) * (width, height)
        if kind == 'bboxes':
            visualizer.draw_bboxes(np.hstack([points / 2, points]), edge_colors='r')
        elif kind == 'lines':
            visualizer.draw_lines(points[:, 0].reshape(2, 2), points[:, 1].reshape(2, 2))
        elif kind == 'circles':
            visualizer.draw_circles(points, np.array([0.02, 0.1, 0.2, 0.01]) * min(height, width))
        elif kind == 'points':
            visualizer.draw_points(points, colors='b')
        elif kind == 'polygons':
            visualizer.draw_polygons(points)
        else:
            visualizer.draw_texts(['a', 'of much width', '', 'd'], points)
        mask = np.zeros((height, width), bool)
        mask[height // 3 :, : width // 2] = True
        visualizer.draw_binary_masks(mask, colors='g', alphas=0.3)
        both_masks = np.stack([mask, ~mask])
        visualizer.draw_binary_masks(both_masks, colors=[(9, 8, 7), 'r'], alphas=[0.5, 0.9])

    same(random, both(ClsVisualizer, UniversalVisualizer), work)


def test_the_picture_stays_where_it_is(random):
    """What reaches over an edge moves and shrinks the image in MMEngine's."""
    image = random.integers(0, 256, (40, 60, 3), np.uint8)
    for one, stays in zip(both(ClsVisualizer, UniversalVisualizer), (True, False), strict=True):
        one.set_image(image)
        one.draw_polygons(np.array([[30.0, 20.0], [90.0, 20.0], [90.0, 70.0]]))
        assert np.array_equal(one.get_image()[:15, :25], image[:15, :25]) is stays


@same_sampling
def test_images_of_other_kinds(random):
    """Grey ones are coloured by matplotlib, small or large; floats are cut off."""
    ours, theirs = both(ClsVisualizer, UniversalVisualizer)
    for image in (
        random.integers(0, 256, (90, 160, 3), np.uint8),
        random.integers(0, 256, (40, 60), np.uint8),
        random.uniform(0, 255, (40, 60, 3)),
        random.integers(0, 256, (40, 60, 4), np.uint8),
        random.integers(0, 256, (80, 60), np.uint8),
        random.integers(0, 256, (40, 60, 3), np.uint8),
    ):
        for one in (ours, theirs):
            one.set_image(image)
            one.draw_bboxes(np.array([5.0, 5.0, 30.0, 30.0]))
        np.testing.assert_array_equal(ours.get_image(), theirs.get_image())


@pytest.mark.parametrize(
    'masks', [np.ones((2, 20, 30), np.uint8), np.ones((1, 30, 20), bool), np.ones((20, 31), bool)]
)
def test_masks_that_do_not_fit(masks):
    ours = ClsVisualizer()
    ours.set_image(np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(ValueError, match=r'masks are bool, \(N, 20, 30\), not'):
        ours.draw_binary_masks(masks)


def test_a_copy_draws(random):
    image = random.integers(0, 256, (20, 30, 3), np.uint8)
    ours = ClsVisualizer()
    ours.set_image(image)
    ours.draw_bboxes(np.array([2.0, 2, 9, 9]))
    twin = copy.deepcopy(ours)
    assert np.array_equal(twin.get_image(), ours.get_image())
    twin.set_image(image[::-1])
    assert np.array_equal(twin.get_image(), image[::-1])
    assert not np.array_equal(ours.get_image(), image)


def test_a_picture_may_be_changed(random):
    ours = ClsVisualizer()
    image = random.integers(0, 256, (20, 30, 3), np.uint8)
    ours.set_image(image)
    ours.get_image()[:] = 0
    np.testing.assert_array_equal(ours.get_image(), image)


@pytest.mark.parametrize('recipe', [r for r in RECIPES if r.parent.name != 'mim'])
def test_the_recipes_draw_so(recipe, monkeypatch):
    monkeypatch.syspath_prepend(CONFIGS.parent)
    task = recipe.parent.name
    config = load_config(recipe)
    assert isinstance(task_visualizer(config, task, ['a'], None), QuickPictures)


def test_nothing_is_said_of_what_reaches_over_an_edge():
    visualizer = DetVisualizer(image=np.zeros((40, 60, 3), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        visualizer.draw_bboxes(np.array([[-5, 5, 70, 30]]))
        visualizer.draw_polygons(np.array([[-5, 5], [70, 5], [30, 50]]))
