"""What the pages show is what works: commands resolve, and configs train."""

import re
import shlex

import pytest
from support import ROOT

from vitmm.apis.cli import parse_options
from vitmm.apis.train import train
from vitmm.config import load_config, resolve

PAGE = ROOT / 'docs' / 'classification.md'
BLOCKS = re.findall(r'```bash\n(.*?)```', PAGE.read_text(), re.DOTALL)
COMMANDS = [
    line
    for block in BLOCKS
    for line in block.splitlines()
    if re.match(r'python tools/(train|test|knn)\.py configs/', line)
]


@pytest.mark.parametrize('command', COMMANDS)
def test_a_command_resolves(command, tiny_options):
    words = shlex.split(command, comments=True)[2:]
    pairs = words[words.index('--cfg-options') + 1 :] if '--cfg-options' in words else []
    options = parse_options(pairs)
    assert len(options) == len(pairs)
    config = resolve(load_config(ROOT / words[0], options={**options, **tiny_options}))
    for key, value in options.items():
        found = config
        for part in key.split('.'):
            found = found[part]
        if key not in tiny_options and '${' not in str(value):
            assert found == value


def test_a_stock_config_with_a_timm_backbone_trains(tiny_shapes, tmp_path):
    """The page's own, on small data: only sizes and the length are others."""
    page = (ROOT / 'docs' / 'stock.md').read_text()
    (tmp_path / 'mine.py').write_text(re.search(r'```python\n(.*?)```', page, re.DOTALL)[1])
    root = tmp_path / 'data'
    (root / 'annotations').mkdir(parents=True)
    for split, folder in (('train', 'train2017'), ('val', 'val2017')):
        target = root / 'annotations' / f'instances_{folder}.json'
        target.symlink_to(tiny_shapes / 'coco' / f'instances_{split}.json')
        (root / folder).symlink_to(tiny_shapes / 'JPEGImages')
    loader = {'batch_size': 4, 'num_workers': 0, 'persistent_workers': False}
    options = {
        'model.backbone.model_name': 'test_convnext',
        'model.backbone.pretrained': False,
        'train_cfg.max_epochs': 1,
        'test_pipeline.1.scale': (96, 96),
        'val_evaluator.ann_file': str(root / 'annotations/instances_val2017.json'),
        **{f'{s}_dataloader.dataset.data_root': f'{root}/' for s in ('train', 'val', 'test')},
        **{f'train_dataloader.{key}': value for key, value in loader.items()},
        **{f'val_dataloader.{key}': value for key, value in loader.items()},
        'train_dataloader.dataset.pipeline.2.scale': (96, 96),
        'val_dataloader.dataset.pipeline.1.scale': (96, 96),
    }
    runner = train(tmp_path / 'mine.py', work_dir=tmp_path / 'run', options=options)
    assert runner.model.bbox_head.num_classes == 6
    assert len(runner.train_dataloader.dataset) == 12


def test_the_page_shows_the_recipe_as_it_is():
    shown = re.search(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)[1]
    recipe = (ROOT / 'configs' / 'cls' / 'swin_cifar10.py').read_text()
    assert recipe.partition('\n\n')[2] == shown
