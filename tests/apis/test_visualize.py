"""tools/visualize.py as a user calls it: which pictures come, and what it says when it cannot."""

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from mmpretrain.models import ImageClassifier
from PIL import Image
from support import CONFIGS, fork_tool
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vitmm.apis.visualize import visualize
from vitmm.apis.windows import check_display, show_picture
from vitmm.errors import BackboneError, ConfigError, VitmmError, WeightsError
from vitmm.visualization.opening import open_model

ALL = ['attention', 'features', 'gradcam', 'pca', 'sheet']


@pytest.fixture(scope='module')
def pair(tiny_shapes, tmp_path_factory):
    """A folder of two images."""
    folder = tmp_path_factory.mktemp('pair')
    for name in ('a.jpg', 'b.jpg'):
        source = tiny_shapes / f'JPEGImages/val_0000{name[0] == "b":d}.jpg'
        (folder / name).write_bytes(source.read_bytes())
    return folder


@pytest.mark.parametrize(
    ('recipe', 'name'), [('cls/vit_linear.py', 'test_vit'), ('det/vit_retinanet.py', 'test_vit')]
)
def test_all_kinds_of_a_checkpoint(recipe, name, untrained, pair, tmp_path):
    out, events = tmp_path / 'out', tmp_path / 'events'
    path = untrained(recipe, name)
    text = visualize(path, pair, out, tensorboard=events, neck=True, device='cpu', side=96)
    assert text == f'2 images (features, attention, gradcam, pca): {out / "sheet"}, {events}'
    assert sorted(folder.name for folder in out.iterdir()) == ALL
    pictures = {k: np.asarray(Image.open(out / k / 'a.jpg')) for k in ALL}
    assert all(p.std() > 10 for p in pictures.values())
    read = EventAccumulator(str(events), size_guidance={'images': 0})
    read.Reload()
    assert sorted(read.Tags()['images']) == ALL
    assert len(read.Images('sheet')) == 2
    told = cv2.imdecode(np.frombuffer(read.Images('gradcam')[0].encoded_image_string, np.uint8), 1)
    assert told.shape == pictures['gradcam'].shape


def test_the_default_is_what_the_model_has(pair, tmp_path):
    text = visualize('test_resnet', pair, tmp_path / 'out', weights='none', device='cpu', side=64)
    assert '(features, pca)' in text
    # Nothing is left over of what was found out on the way.
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['features', 'pca', 'sheet']


def test_a_head_without_logits_costs_its_own_pictures_only(untrained, pair, tmp_path, monkeypatch):
    forward = ImageClassifier.forward

    def dense(self, inputs, data_samples=None, mode='tensor'):
        found = forward(self, inputs, data_samples, mode)
        return found[..., None] if mode == 'tensor' else found

    monkeypatch.setattr(ImageClassifier, 'forward', dense)
    model = untrained('cls/vit_linear.py', 'test_vit')
    visualize(model, pair, tmp_path)
    assert list((tmp_path / 'features').iterdir()) and not (tmp_path / 'gradcam').exists()
    with pytest.raises(ConfigError, match='gives no logits of classes'):
        visualize(model, pair, tmp_path, what=['gradcam'])


def test_segmentation_by_name(untrained, pair, tmp_path):
    out = tmp_path / 'out'
    path = untrained('seg/convnext_fcn.py', 'test_resnet', image_scale=(96, 96))
    text = visualize(path, pair / 'a.jpg', out, what=['gradcam'], classes=['star'], device='cpu')
    assert text.startswith('1 image (gradcam)')
    assert (out / 'gradcam/a.jpg').is_file()


def test_results_repeat_and_foreground_is_white(pair, tmp_path):
    settings = dict(weights='none', what=['pca'], size=96, device='cpu')
    found = []
    for name in ('one', 'two'):
        torch.manual_seed(0)
        visualize('test_vit', pair, tmp_path / name, foreground=True, **settings)
        found.append((tmp_path / name / 'pca/a.jpg').read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ('model', 'settings', 'kind', 'message'),
    [
        ('test_vitt', {}, BackboneError, 'no file or folder test_vitt.*Did you mean test_vit'),
        ('work_dirs/no.pth', {}, VitmmError, r'work_dirs/no\.pth'),
        ('test_vit', dict(what=['atention']), ConfigError, 'Did you mean attention'),
        ('test_vit', dict(block=6), BackboneError, '--block 6: test_vit has 6 blocks'),
        ('test_resnet', dict(what=['attention']), BackboneError, 'test_resnet has no attention'),
        ('test_vit', dict(what=['gradcam']), ConfigError, 'the classifier has no weights'),
        ('test_vit', dict(classes=['circle']), ConfigError, 'the classifier has no weights'),
        ('test_vit', dict(pca_level=9, what=['pca']), ConfigError, '--pca-level 9: test_vit gives'),
        ('test_vit', dict(weights='/no/w.pth'), VitmmError, '/no/w.pth'),
        ('test_vit', dict(show_windows=True), ConfigError, 'there is no display'),
        ('test_vit', dict(side=3), ConfigError, '--side 32 or more'),
    ],
)
def test_one_clear_message(model, settings, kind, message, pair, tmp_path, monkeypatch):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    if model.startswith('test_'):
        settings = {'weights': 'none', **settings}
    with pytest.raises(kind, match=message):
        visualize(model, pair, tmp_path / 'out', device='cpu', **settings)
    assert not (tmp_path / 'out').exists()


def test_a_class_that_the_model_has_not(trained, pair, tmp_path):
    with pytest.raises(ConfigError, match=r"no class 'rings', but .* Did you mean ring"):
        visualize(trained('cls'), pair, tmp_path / 'out', classes=['rings'])
    assert not (tmp_path / 'out').exists()


def test_heads_of_configs_are_not_trained(tiny_shapes, pair, tmp_path):
    options = {'data_root': str(tiny_shapes), 'prepare_data': None}
    options['model.backbone.model_name'] = 'test_resnet'
    recipe = CONFIGS / 'seg/convnext_fcn.py'
    with pytest.raises(ConfigError, match=r'the head of a config is not trained \(decode_head'):
        visualize(recipe, pair, tmp_path / 'out', what=['gradcam'], options=options)
    with pytest.raises(ConfigError, match='--weights and --size are for names of timm'):
        visualize(recipe, pair, tmp_path / 'out', weights='none', options=options)
    text = visualize(recipe, pair / 'a.jpg', tmp_path / 'out', what=['features'], options=options)
    assert text.startswith('1 image (features)')


def test_weights_of_a_file(tmp_path):
    predictor, why = open_model('test_resnet', weights='none', device='cpu')
    assert why == 'the classifier has no weights'
    assert predictor.classes[207] == 'golden retriever'
    state = predictor.model.backbone.model.state_dict()
    torch.save(state, tmp_path / 'whole.pth')
    again, why = open_model('test_resnet', weights=str(tmp_path / 'whole.pth'), device='cpu')
    assert why == ''
    for key, value in again.model.backbone.model.state_dict().items():
        assert torch.equal(value, state[key]), key
    torch.save({'x': torch.zeros(2)}, tmp_path / 'other.pth')
    with pytest.raises(WeightsError, match=r'these are --weights FILE and --weights none\.$'):
        open_model('test_resnet', weights=str(tmp_path / 'other.pth'), device='cpu')


def test_help_and_folder_without_images(tmp_path):
    done = fork_tool('visualize.py', '--help')
    assert done.returncode == 0
    assert '--rollout' in done.stdout
    done = fork_tool('visualize.py', 'test_vit', tmp_path, '--out', tmp_path / 'out')
    assert done.returncode == 1
    assert done.stderr.strip().startswith(f'error: {tmp_path} holds no image')


def test_windows_need_a_toolkit(monkeypatch):
    monkeypatch.setenv('DISPLAY', ':7')
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'agg')
    with pytest.raises(ConfigError, match='backend here is agg, which has none'):
        check_display()
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'TkAgg')
    check_display()


def test_a_picture_fills_its_window(monkeypatch):
    seen = []

    def look(figure):
        figure.canvas.draw()
        seen.append(np.asarray(figure.canvas.buffer_rgba())[..., :3])

    monkeypatch.setattr('mmengine.visualization.utils.wait_continue', look)
    plt.switch_backend('agg')
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, :100, 0] = picture[:, 100:, 2] = 255
    show_picture(picture, 'halves')
    (shown,) = seen
    assert shown.shape == (300, 600, 3) and not plt.get_fignums()
    assert (shown[2:-2, 2:295] == (255, 0, 0)).all() and (shown[2:-2, 305:-2] == (0, 0, 255)).all()
