"""Every starter on a GPU in bfloat16: it learns, and is validated.

``pytest -m cuda`` runs these. That its figures are the CPU's is shown for one recipe a task in
test_on_gpu.py; here nothing may stop, or overflow on its way back.
"""

import json
import math

import pytest
from support import RECIPES

from vitmm.apis.train import train
from vitmm.datasets import write_rooms

pytestmark = pytest.mark.cuda

# Their data or weights a bare machine lacks.
ELSEWHERE = ('trees_', 'lite0_', 'swin_cifar10', 'timm_')
STARTERS = [path for path in RECIPES if not path.stem.startswith(ELSEWHERE)]


@pytest.mark.parametrize('recipe', STARTERS, ids=lambda path: f'{path.parent.name}-{path.stem}')
def test_it_trains_and_validates(recipe, tiny_options, tmp_path):
    options = {**tiny_options, 'default_hooks.logger.interval': 1}
    if recipe.parent.name == 'depth':
        options |= {'data_root': str(write_rooms(tmp_path / 'rooms', 8, 2)), 'prepare_data': None}
    if recipe.parent.name == 'mim':  # nothing is validated
        del options['val_dataloader.num_workers']
    runner = train(recipe, work_dir=tmp_path / 'run', options=options, amp=True)
    assert {p.device.type for p in runner.model.parameters()} == {'cuda'}
    (log,) = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps, scores = ([line for line in lines if ('loss' in line) == x] for x in (True, False))
    assert len(steps) >= 2 and bool(scores) == (runner.val_loop is not None)
    for line in steps:
        assert math.isfinite(line['loss']) and math.isfinite(line.get('grad_norm', 0.0))
