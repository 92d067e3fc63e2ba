"""Predicting images: against testing, and in other batches, orders and loaders."""

import threading

import cv2
import numpy as np
import pytest
import tifffile
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope, registry
from mmpretrain.models import ImageClassifier
from multiband import write_multiband
from PIL import Image
from predictions import change, config_of, same, told
from support import CONFIGS

from vitmm.apis.inference import Predictor, infer
from vitmm.config import load_config, resolve
from vitmm.config.stored import read_stored
from vitmm.datasets.errors import DataError
from vitmm.errors import ConfigError
from vitmm.inference.drawing import read_picture
from vitmm.inference.inputs import Item, Media
from vitmm.inference.stored_model import building
from vitmm.visualization.opening import open_model

TASKS = ('cls', 'det', 'seg', 'depth')


@pytest.fixture(params=TASKS)
def any_model(request, trained):
    return trained(request.param)


def test_results_are_those_of_testing(any_model, dumped):
    expected = dumped(any_model)
    found = dict(Predictor(any_model)(expected, batch_size=1))
    assert list(found) == list(expected)
    for path, sample in expected.items():
        same(found[path], sample)


@pytest.mark.parametrize('task', TASKS)
def test_batches_of_many_sizes_change_nothing(task, trained, tiny_shapes):
    predictor = Predictor(trained(task), device='cpu')
    if task == 'det':  # mmdet's soft masks: of pixels at the threshold rounding decides
        predictor.model.roi_head.test_cfg.mask_thr_binary = -1
    paths = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:9]
    assert len({cv2.imread(str(path)).shape for path in paths}) > 1
    one_by_one = dict(predictor(paths, batch_size=1))
    together = dict(predictor(paths, batch_size=4))
    assert list(together) == [str(path) for path in paths]
    for path, sample in together.items():
        height, width = cv2.imread(path).shape[:2]
        if task in ('seg', 'depth'):
            assert told(sample)[0][0].shape == (1, height, width)
        same(sample, one_by_one[path], rtol=1e-4)


def test_threads_leave_the_scope_and_the_registry_as_they_were(trained):
    """Predictors that are made at once, as a server makes them."""
    before = DefaultScope.get_current_instance(), registry.get_object_from_string
    held, go = threading.Event(), threading.Event()

    def first():
        with building(Config(dict(default_scope='mmdet'))):
            held.set()
            go.wait(0.5)  # the other one asks meanwhile

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(60)
    with building(Config(dict(default_scope='mmseg'))):
        go.set()
        thread.join(0.2)
        assert DefaultScope.get_current_instance().scope_name == 'mmseg'
    thread.join()
    after = DefaultScope.get_current_instance()
    assert registry.get_object_from_string is before[1]
    assert getattr(after, 'scope_name', None) == getattr(before[0], 'scope_name', None)


def test_a_head_that_predicts_something_else(trained, tiny_shapes, tmp_path, monkeypatch):
    image = min((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    monkeypatch.setattr(ImageClassifier, 'predict', lambda self, _, samples: samples)
    assert len(list(Predictor(trained('cls'), device='cpu')(image))) == 1  # as it is
    with pytest.raises(ConfigError, match='LinearClsHead predicts no pred_score, which'):
        infer(trained('cls'), image, tmp_path / 'out')
    assert not list((tmp_path / 'out').rglob('*.*'))


def test_no_image_is_padded_for_anothers_sake(trained, tiny_shapes):
    predictor = Predictor(trained('det'), device='cpu')
    image = cv2.imread(str(min((tiny_shapes / 'JPEGImages').glob('*.jpg'))))
    images = [image, cv2.resize(image, (32, 96)), cv2.resize(image, (96, 32))]
    alone = [next(iter(predictor(one)))[1] for one in images]
    for (_, sample), expected in zip(predictor(images), alone, strict=True):
        same(sample, expected, rtol=1e-4)


def test_arrays_are_bgr_and_may_be_changed(any_model, tiny_shapes):
    whole = {'test_dataloader.dataset.pipeline.0.reduce': False}  # JPEGs as OpenCV decodes them
    predictor = Predictor(any_model, options=whole)
    paths = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:2]
    files = [sample for _, sample in predictor(paths)]
    images = [cv2.imread(str(path)) for path in paths]
    for (name, sample), expected, number in zip(predictor(images), files, '01', strict=True):
        assert name == number
        values = told(expected)[0][0].clone()
        torch.testing.assert_close(told(sample)[0][0], values)
        told(sample)[0][0][:] = 0  # results of inference mode would refuse
    flipped = next(iter(predictor(images[0][..., ::-1])))[1]
    assert not torch.equal(told(flipped)[0][0], told(files[0])[0][0])


def test_pictures_show_the_image_in_its_colours(tiny_shapes):
    path = str(next((tiny_shapes / 'JPEGImages').glob('*.jpg')))
    image, media = cv2.imread(path), Media(path, 'a.jpg', 'a')
    rgb = np.asarray(Image.open(path).convert('RGB')).astype(int)
    for item in (Item(media), Item(media, None, image)):
        assert np.abs(read_picture(item, 3) - rgb).mean() < 1  # two decoders
    bands = np.dstack([image, image[..., :1] // 2])
    assert np.array_equal(read_picture(Item(media, None, bands), 4), image)  # as they come


def test_openmmlabs_own_loader(trained, tiny_shapes, tmp_path):
    def load_by_mmcv(content):
        config = Config(read_stored(content['meta']['cfg']))
        config.test_dataloader.dataset.pipeline[0] = dict(type='LoadImageFromFile')
        content['meta']['cfg'] = config.pretty_text

    paths = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:3]
    whole = {'test_dataloader.dataset.pipeline.0.reduce': False}
    ours = dict(Predictor(trained('seg'), options=whole)(paths))
    stock = Predictor(change(trained('seg'), tmp_path / 'stock.pth', load_by_mmcv))
    for path, sample in stock(paths):
        same(sample, ours[path])
    (tmp_path / 'broken.jpg').write_text('no image')
    with pytest.raises(DataError, match=r'broken\.jpg cannot be read'):
        next(stock([tmp_path / 'broken.jpg', paths[0]]))


def test_four_bands_of_sixteen_bits(tiny_shapes, tmp_path):
    root = write_multiband(tiny_shapes, tmp_path / 'bands', 4, 'uint16')
    options = {'data_root': str(root), 'prepare_data': None, 'image_suffix': '.tif'}
    options |= {'model.backbone.in_chans': 4, 'model.backbone.model_name': 'test_resnet'}
    config = resolve(load_config(CONFIGS / 'seg/convnext_fcn.py', 'folder', {
        **options, 'train_images': 'JPEGImages', 'train_masks': 'SegmentationClass',
        'val_images': 'JPEGImages', 'val_masks': 'SegmentationClass',
    }))  # fmt: skip
    with building(config):
        model = MODELS.build(config.model)
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(classes=list('abcdefg')))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), tmp_path / 'bands.pth')
    paths = sorted((root / 'JPEGImages').glob('val*.tif'))
    infer(tmp_path / 'bands.pth', paths, tmp_path / 'out')
    for path in paths:
        size = tifffile.TiffFile(path).pages[0].shape
        size = size[:2] if size[-1] == 4 else size[-2:]
        for kind in ('pictures', 'masks'):
            (file,) = (tmp_path / 'out' / kind).glob(f'{path.stem}.*')
            assert Image.open(file).size == size[::-1]
    array = np.random.default_rng(0).random((50, 60, 3), np.float32)
    with pytest.raises(DataError, match=r'\(50, 60, 3\); the model takes \(H, W, 4\)'):
        next(Predictor(tmp_path / 'bands.pth')(array))


def test_arrays_count_as_files_do(trained, tiny_shapes):
    predictor = Predictor(trained('cls'))
    path = next((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    bytes8 = cv2.imread(str(path))
    ((_, expected),) = predictor(bytes8)
    for image in (bytes8.astype(np.uint16) * 257, bytes8 / np.float32(255), bytes8 / 255):
        ((_, found),) = predictor(image)
        torch.testing.assert_close(found.pred_score, expected.pred_score, rtol=1e-4, atol=1e-5)
    for image, words in (
        (bytes8.astype(np.float32), 'image 0 holds floats up to 25'),
        (bytes8.astype(np.int64), 'image 0 holds int64, of which nobody knows'),
        (bytes8.astype(object), 'image 0 holds values of the type object'),
    ):
        with pytest.raises(DataError, match=words):
            next(predictor(image))
    for image in (Image.open(path), torch.from_numpy(bytes8), [Image.open(path)]):
        with pytest.raises(DataError, match='neither a path nor an array'):
            next(predictor(image))
    ((_, found),) = predictor(np.asarray(Image.open(path))[..., ::-1])  # as the message says
    torch.testing.assert_close(found.pred_score, expected.pred_score, rtol=0, atol=0.01)


def test_the_preprocessor_may_stand_at_the_top_of_a_config(trained, tiny_shapes, tmp_path):
    """As in mmpretrain's own configs: MMEngine's Runner hands it to the model."""
    content = torch.load(trained('cls'))
    config = Config(read_stored(content['meta']['cfg']))
    config.data_preprocessor = config.model.pop('data_preprocessor')
    assert config.data_preprocessor.mean
    content['meta']['cfg'] = config.pretty_text
    torch.save(content, tmp_path / 'top.pth')
    image = next((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
    found, expected = (
        next(iter(Predictor(path, device='cpu')(image)))[1].pred_score
        for path in (tmp_path / 'top.pth', trained('cls'))
    )
    assert torch.equal(found, expected)
    config.dump(tmp_path / 'top.py')
    predictor, _ = open_model(tmp_path / 'top.py', device='cpu')
    assert getattr(predictor.model.data_preprocessor, 'mean', None) is not None


def test_a_checkpoint_without_config_takes_one(trained, tmp_path, tiny_shapes):
    bare = change(trained('cls'), tmp_path / 'bare.pth', lambda c: c.pop('meta'))
    path = next((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    ((_, found),) = Predictor(bare, config_of(trained('cls')))(path)
    ((_, expected),) = Predictor(trained('cls'))(path)
    assert torch.equal(found.pred_score, expected.pred_score)


def test_a_data_set_of_ones_own_is_imported_or_not_needed(
    trained, tmp_path, tiny_shapes, monkeypatch
):
    """It may name classes and colours; to predict, nobody needs it."""
    images = f'{tiny_shapes}/JPEGImages/val*.jpg'
    content = torch.load(trained('cls'), weights_only=False)
    cfg = Config.fromstring(content['meta']['cfg'], '.py')
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[loader].dataset = dict(type='TheirData', pipeline=cfg[loader].dataset.pipeline)
    content['meta']['cfg'] = cfg.pretty_text
    torch.save(content, tmp_path / 'theirs.pth')
    predictor = Predictor(tmp_path / 'theirs.pth')
    assert predictor.classes == Predictor(trained('cls')).classes
    assert len(list(predictor(images))) == 4

    (tmp_path / 'their_parts.py').write_text(
        'from mmengine.registry import DATASETS\n\n\n@DATASETS.register_module()\n'
        "class TheirData:\n    METAINFO = dict(classes=list('abcdef'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    cfg.custom_imports = dict(imports=['vitmm', 'their_parts'])
    content['meta'] = dict(cfg=cfg.pretty_text)
    torch.save(content, tmp_path / 'theirs.pth')
    assert Predictor(tmp_path / 'theirs.pth').classes == list('abcdef')


def test_mixed_precision_is_near(trained, tiny_shapes):
    path = next((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    ((_, plain),) = Predictor(trained('depth'))(path)
    ((_, mixed),) = Predictor(trained('depth'), amp=True)(path)
    difference = (mixed.pred_depth_map.data - plain.pred_depth_map.data).abs()
    assert 0 < difference.max() < 0.1  # metres


def test_a_folder_has_what_its_files_have(trained, picture, tmp_path):
    """Of a GIF the first frame, whether it is named or found."""
    first, _ = picture(64, 96)
    frames = [Image.fromarray(one) for one in (first, 255 - first)]
    frames[0].save(tmp_path / 'a.gif', save_all=True, append_images=frames[1:])
    if not cv2.haveImageReader(str(tmp_path / 'a.gif')):
        pytest.skip('OpenCV reads GIFs from 4.12 on')
    predictor = Predictor(trained('cls'))
    (named,) = predictor(tmp_path / 'a.gif')
    (found,) = predictor(tmp_path)
    assert found[0] == named[0]
    same(found[1], named[1])
