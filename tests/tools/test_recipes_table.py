"""The table of the recipes, from runs that are done already."""

import json
from pathlib import Path

import pytest
from support import CONFIGS, fork_tool, load_tool


@pytest.fixture(scope='module')
def table():
    return load_tool('recipes_table')


def test_floors_are_those_of_recipes(table):
    for recipe, (metric, _) in table.OTHERS.items():
        assert (CONFIGS / f'{recipe}.py').is_file()
        usual = table.METRICS[recipe.partition('/')[0]][0].rpartition('/')[0]
        prefix = 'multi-label' if recipe.endswith('_multilabel') else usual
        assert metric.rpartition('/')[0] == prefix


def test_rows_and_floors(tmp_path):
    scores = {
        'det/vit_retinanet': {'coco/bbox_mAP': 0.51},
        'seg/vit_fcn': {'mIoU': 1.5},
        'det/convnext_mask_rcnn': {'coco/bbox_mAP': 0.5, 'coco/segm_mAP': 0.25},
    }
    for recipe, result in scores.items():
        folder = tmp_path / Path(recipe).name
        folder.mkdir()
        (folder / 'result.json').write_text(json.dumps(result))
    recipes = [f'configs/{recipe}.py' for recipe in scores]
    done = fork_tool('recipes_table.py', *recipes, '--work-dir', tmp_path)
    assert '| `configs/det/vit_retinanet.py` | bbox_mAP | 0.51 | 0.45 |' in done.stdout
    assert 'convnext_mask_rcnn.py` | segm_mAP | 0.25 | 0.5 |' in done.stdout
    assert done.returncode == 1
    assert 'below their floor: vit_fcn, convnext_mask_rcnn' in done.stderr
    good = fork_tool('recipes_table.py', recipes[0], '--work-dir', tmp_path)
    assert good.returncode == 0


def test_the_floor_of_an_error_is_the_most_it_may_be(tmp_path, table, monkeypatch, capsys):
    recipe = CONFIGS / 'depth' / 'vit_depth.py'
    monkeypatch.setitem(table.METRICS, 'depth', ('abs_rel', 0.2))
    monkeypatch.setattr('sys.argv', ['recipes_table.py', str(recipe), '--work-dir', str(tmp_path)])
    result = tmp_path / 'vit_depth' / 'result.json'
    result.parent.mkdir()
    result.write_text('{"abs_rel": 0.1}')
    table.main()
    assert 'vit_depth.py` | abs_rel | 0.1 | 0.2 |' in capsys.readouterr().out
    result.write_text('{"abs_rel": 0.3}')
    with pytest.raises(SystemExit, match='below their floor: vit_depth'):
        table.main()
