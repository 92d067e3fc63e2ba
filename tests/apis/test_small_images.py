"""A recipe for large images, given small ones, says so before it trains."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from support import CONFIGS

from vitmm.apis.check_data import check_data
from vitmm.apis.small_images import note_of_small_images
from vitmm.apis.train import train
from vitmm.config import load_config, resolve
from vitmm.errors import VitmmError

DATA = {
    'det': {
        'train_ann': 'coco/instances_train.json',
        'val_ann': 'coco/instances_val.json',
        'train_images': 'JPEGImages/',
        'val_images': 'JPEGImages/',
    },
    'seg': {
        'train_images': 'JPEGImages',
        'val_images': 'JPEGImages',
        'train_masks': 'SegmentationClass',
        'val_masks': 'SegmentationClass',
    },
}
RECIPES = {
    'det': (CONFIGS / 'det' / 'vit_retinanet.py', 'coco'),
    'seg': (CONFIGS / 'seg' / 'vit_fcn.py', 'folder'),
}


def widen(task, tiny_shapes, **more):
    recipe, data = RECIPES[task]
    options = {'data_root': str(tiny_shapes), **DATA[task], **more}
    return resolve(load_config(recipe, data, options)), options


@pytest.mark.parametrize('task', RECIPES)
def test_what_it_says_to_type_ends_it(task, tiny_shapes):
    cfg, options = widen(task, tiny_shapes)
    note = note_of_small_images(cfg, options)
    assert 'are enlarged x' in note
    typed = note.partition('--cfg-options ')[2].partition(' leaves')[0]
    values = dict(pair.split('=') for pair in typed.split())
    assert list(values) == (['image_scale'] if task == 'det' else ['image_scale', 'crop_size'])
    sizes = {key: tuple(map(int, value.split(','))) for key, value in values.items()}
    assert note_of_small_images(widen(task, tiny_shapes, **sizes)[0]) is None
    large, options = widen(task, tiny_shapes, image_scale=(1333, 801))
    assert note_of_small_images(large, options) is None  # it is meant


def test_the_check_of_the_data_says_it_once(tiny_shapes):
    recipe, data = RECIPES['det']
    train_report, val_report = check_data(recipe, data, widen('det', tiny_shapes)[1])
    assert 'note: the images are about' in str(train_report)
    assert not train_report.faults and not val_report.notes
    own = check_data(recipe, None, {'data_root': str(tiny_shapes), 'prepare_data': None})
    assert not own[0].notes


def test_a_training_begins_with_it(tiny_options, tmp_path, monkeypatch, capfd):
    def stop(runner):
        raise VitmmError('far enough')

    monkeypatch.setattr(Runner, 'train', stop)
    Config(dict(_base_=str(RECIPES['det'][0]), image_scale=(1333, 800))).dump(tmp_path / 'mine.py')
    options = {**tiny_options, 'model.backbone.model_name': 'test_resnet'}
    with pytest.raises(VitmmError, match='far enough'):
        train(tmp_path / 'mine.py', work_dir=tmp_path / 'w', options=options)
    told = capfd.readouterr()
    assert 'WARNING - the images are about' in told.out + told.err


def test_classifiers_have_one_size_for_all(tiny_shapes):
    cfg = resolve(
        load_config(
            CONFIGS / 'cls/vit_linear.py',
            None,
            {'data_root': str(tiny_shapes), 'prepare_data': None, 'image_size': 1024},
        )
    )
    assert note_of_small_images(cfg) is None
