"""A file that is missing is told of with the keys that name it."""

import pytest
from support import CONFIGS, fork_tool

from vitmm.apis.check_data import check_data
from vitmm.apis.launch import prepare
from vitmm.config.paths import keys_of_path
from vitmm.errors import VitmmError

DET = CONFIGS / 'det' / 'vit_retinanet.py'
LOADERS = ('train_dataloader', 'val_dataloader')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'train_ann': 'no/train.json'}, r'no/train\.json; .* by data_root and train_ann: set'),
        ({'val_ann': 'no/val.json'}, r'no/val\.json; .* by data_root and val_ann: set'),
        (
            {'train_images': 'no_images'},
            r'12 of .* images of .* by data_root and train_images',
        ),
        ({'data_root': 'no/where'}, r'no/where.* by data_root'),
    ],
)
def test_the_keys_that_holes_name(options, words, tiny_shapes):
    there = {f'{split}_ann': f'annotations/instances_{split}.json' for split in ('train', 'val')}
    there['train_images'] = there['val_images'] = 'JPEGImages'
    options = {'data_root': str(tiny_shapes), 'prepare_data': None, **there, **options}
    with pytest.raises(VitmmError, match=words):
        prepare(DET, data='coco', options=options, loaders=LOADERS)


def test_the_check_and_the_printed_config_tell_them_too():
    words = 'annotations/instances_train2017.json; the config names it by data_root and train_ann'
    with pytest.raises(VitmmError, match=words):
        check_data(DET, 'coco', {'data_root': 'no/where'})
    done = fork_tool(
        'print_config.py', DET, '--data', 'coco', '--cfg-options', 'data_root=no/where'
    )
    assert words in done.stderr and not done.stdout


def test_a_config_without_holes(tiny_shapes, tmp_path):
    recipe = tmp_path / 'stock.py'
    recipe.write_text(
        "_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\n"
        f"train_dataloader = dict(dataset=dict(data_root='{tiny_shapes}'))\n"
    )
    keys = r' by train_dataloader\.dataset\.data_root and train_dataloader\.dataset\.ann_file: set'
    with pytest.raises(VitmmError, match=rf'instances_train2017\.json; .*{keys}'):
        prepare(recipe, loaders=LOADERS)


def test_keys_of_wrapped_data_sets():
    inner = [dict(type='A', data_root='data/a', ann_file='x.json', pipeline=['data']), dict()]
    loaded = dict(
        root='data',
        train_dataloader=dict(dataset=dict(type='Concat', datasets=inner)),
        val_dataloader=dict(dataset=dict(data_root='${root}/b', ann_file='y.json')),
        test_dataloader='${val_dataloader}',
    )
    first = 'train_dataloader.dataset.datasets.0'
    assert keys_of_path(loaded, 'data/a/x.json') == [f'{first}.data_root', f'{first}.ann_file']
    assert keys_of_path(loaded, 'data/b/y.json') == ['root', 'val_dataloader.dataset.ann_file']
    assert keys_of_path(loaded, 'elsewhere/z') == []


def test_of_loaders_that_say_the_same_the_one_in_use_is_named():
    inner = dict(dataset=dict(data_root='data/a', ann_file='x.json'))
    loaded = dict(train_dataloader=inner, test_dataloader=inner)
    for used in ('train_dataloader', 'test_dataloader'):
        keys = keys_of_path(loaded, 'data/a/x.json', [used])
        assert keys == [f'{used}.dataset.data_root', f'{used}.dataset.ann_file']
    # A config without holes whose data follow data_root: one key moves the metric, too.
    loaded['data_root'] = 'data/a/'
    keys = keys_of_path(loaded, 'data/a/x.json', ['test_dataloader'])
    assert keys == ['data_root', 'test_dataloader.dataset.ann_file']
