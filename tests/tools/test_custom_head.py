"""The README's example: a head of one's own, by custom_imports alone."""

import torch
from support import as_cfg_options, run_tool


def test_a_head_of_ones_own_trains(tiny_options, tmp_path):
    options = {**tiny_options, 'image_scale': (96, 96)}
    done = run_tool(
        'train.py',
        'configs/det/vit_custom_head.py',
        '--work-dir',
        tmp_path,
        '--cfg-options',
        *as_cfg_options(options),
        env={'PYTHONSAFEPATH': '1'},  # no help from where the tool or the shell is
    )
    assert done.returncode == 0, done.stdout + done.stderr
    weights = torch.load((tmp_path / 'last_checkpoint').read_text())['state_dict']
    assert weights['bbox_head.attention.fc1.bias'].any()  # zero at first
