import pytest
from support import CONFIGS

from vitmm.config import load_config, resolve
from vitmm.errors import ConfigError

DET = CONFIGS / 'det' / 'vit_retinanet.py'


def test_data_swap_keeps_what_the_recipe_says(tmp_path):
    recipe = tmp_path / 'mine.py'
    recipe.write_text(f'_base_ = [{str(DET)!r}]\ntrain_dataloader = dict(batch_size=3)\n')
    config = load_config(recipe, data='coco')
    assert config.data_root == 'data/coco'
    assert config.train_dataloader.batch_size == 3  # the recipe's, over the new data set's
    assert config.train_dataloader.dataset.filter_cfg.min_size == 32  # the new data set's
    assert 'prepare_data' not in config  # nothing is left of the old one
    assert config.filename == str(recipe)


@pytest.mark.parametrize('data', ['coco', 'voc', 'trees', 'shapes'])
def test_every_detection_data_set_fits_the_recipe(data):
    config = load_config(DET, data=data)
    assert config.model.backbone.model_name == 'vit_tiny_patch16_224'
    assert config.train_dataloader.dataset.type in ('mmdet.CocoDataset', 'mmdet.XMLDataset')


def test_data_by_the_path_of_a_file(tmp_path):
    mine = tmp_path / 'mine.py'
    mine.write_text(f"_base_ = {str(CONFIGS / '_base_/datasets/det/coco.py')!r}\ndata_root = 'x'\n")
    assert load_config(DET, data=str(mine)).data_root == 'x'


def test_unknown_data_set_lists_those_there_are():
    with pytest.raises(ConfigError, match=r"no data set 'coko'.*Did you mean coco\?.*voc"):
        load_config(DET, data='coko')


def test_data_swap_without_a_data_base(tmp_path):
    recipe = tmp_path / 'plain.py'
    recipe.write_text('a = 1\n')
    with pytest.raises(ConfigError, match='nothing to swap'):
        load_config(recipe, data='coco')


def test_options_reach_through_an_alias():
    config = load_config(DET, options={'test_dataloader.batch_size': 1})
    assert config.test_dataloader.batch_size == 1
    assert config.val_dataloader.batch_size != 1


def test_options_reach_through_aliases_inside():
    path = 'train_dataloader.dataset.pipeline'
    both = {f'{path}.3.prob': 0.25, f'{path}.0.max_value': 9}  # the first is '${load_image}'
    for options in (both, dict(reversed(both.items())), {f'{path}.0.max_value': 9}):
        config = resolve(load_config(DET, options=options))
        pipeline = config.train_dataloader.dataset.pipeline
        assert pipeline[3].prob == options.get(f'{path}.3.prob', 0.5)
        assert pipeline[0].max_value == 9
    others = config.val_dataloader.dataset.pipeline[0], config.train_pipeline[0]
    assert all(one.max_value is None for one in others) and config.train_pipeline[3].prob == 0.5
    with pytest.raises(ConfigError, match='does not fit'):
        load_config(DET, options={f'{path}.33.prob': 0.25})
    with pytest.raises(ConfigError, match='does not fit'):
        load_config(DET, options={path: '${test_pipeline}', f'{path}.0.channels': 4})


def test_a_list_is_a_tuple_where_the_config_has_one():
    # image_scale=96,96 comes from the command line as a list, which mmcv's Resize refuses.
    config = load_config(DET, options={'image_scale': [96, 96], 'trackers': {'a': [1]}, 'new': [1]})
    assert config.image_scale == (96, 96) and isinstance(config.image_scale, tuple)
    assert (config.trackers.a, config.new) == ([1], [1])


@pytest.mark.parametrize('value', ['320x240', '96'])
def test_text_where_the_config_has_numbers(value):
    with pytest.raises(ConfigError, match=f'image_scale={value} is text.* has 224,224'):
        load_config(CONFIGS / 'det/vit_retinanet.py', options={'image_scale': value})
    holes = load_config(CONFIGS / 'det/vit_retinanet.py', options={'image_scale': '${wide}'})
    assert holes.image_scale == '${wide}'


def test_text_where_the_config_has_a_part(tmp_path):
    with pytest.raises(ConfigError, match='backbone=resnet18 is text, where the base has settings'):
        load_config(DET, options={'model.backbone': 'resnet18'})
    recipe = tmp_path / 'mine.py'  # mmpretrain takes both for the folder
    recipe.write_text("train_dataloader = dict(dataset=dict(data_prefix=dict(img_path='a')))\n")
    config = load_config(recipe, options={'train_dataloader.dataset.data_prefix': 'b'})
    assert config.train_dataloader.dataset.data_prefix == 'b'


def test_model_kwargs_go_with_the_model_that_they_were_for(capsys):
    swin = CONFIGS / 'det' / 'swin_faster_rcnn.py'
    assert 'model_kwargs' in load_config(swin).model.backbone
    swapped = load_config(swin, options={'model.backbone.model_name': 'resnet18'})
    assert 'model_kwargs' not in swapped.model.backbone
    both = {'model.backbone.model_name': 'resnet18', 'model.backbone.model_kwargs': {'a': 1}}
    assert load_config(swin, options=both).model.backbone.model_kwargs == {'a': 1}
    inside = {'model.backbone.model_name': 'resnet18', 'model.backbone.model_kwargs._delete_': True}
    assert load_config(swin, options=inside).model.backbone.model_kwargs == {}
    told = capsys.readouterr()
    assert 'resnet18 takes the place of' in told.err and not told.out


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('a = (', 'mine.py cannot be read'),
        ("_base_ = './nowhere.py'", 'mine.py cannot be read'),
        ("raise RuntimeError('oh')", 'mine.py cannot be read'),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, words):
    recipe = tmp_path / 'mine.py'
    recipe.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(recipe)


def test_a_missing_file_suggests_a_near_one():
    with pytest.raises(ConfigError, match=r'vit_retinanet\.py'):
        load_config(DET.with_name('vit_retinanett.py'))


def test_an_option_that_does_not_fit():
    with pytest.raises(ConfigError, match='does not fit'):
        load_config(DET, options={'model.neck.9.out_channels': 3})
