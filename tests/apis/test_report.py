"""The end of a log: what was trained or tested, held against the files themselves."""

import json
import math
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from predictions import config_of
from support import COUNTS, load_tool

from vitmm.apis import next_commands
from vitmm.apis.cli import parse_options
from vitmm.apis.report import _broken
from vitmm.apis.runs import Run
from vitmm.apis.test import test as evaluate


def rows_of(work_dir):
    """The summary at the end of a log: its first line, its rows by name, its commands."""
    text = max(work_dir.glob('*/*.log')).read_text()
    # Runs that come later in this process may write warnings into the same log.
    blocks = [block.lstrip() for block in re.split(r'INFO - \n', text)]
    summary = [b for b in blocks if b.startswith(('Finished ', 'Stopped ', 'Tested '))][-1]
    table, _, rest = summary.partition('\n\n')
    first, *lines = table.splitlines()
    commands = rest.partition('\n\n')[0].splitlines()[1:] if rest.startswith('Next:\n') else []
    rows = dict(re.split(r'  +', one.strip(), maxsplit=1) for one in lines)
    assert len({re.match(r'  \S+(?: \S+)* +', line).end() for line in lines}) == 1  # aligned
    return first, rows, [command.strip() for command in commands]


def test_a_training(trained, tiny_shapes):
    checkpoint = trained('seg')
    work_dir = checkpoint.parent
    first, rows, commands = rows_of(work_dir)
    assert first == 'Finished convnext_fcn.'
    assert rows['recipe'].endswith('configs/seg/convnext_fcn.py')
    assert rows['backbone'] == 'test_resnet, from nothing'
    stored = torch.load(checkpoint)
    saved = {k: v for k, v in stored['state_dict'].items() if not k.endswith('tracked')}
    buffers = sum(v.numel() for k, v in saved.items() if 'running_' in k)
    number = sum(v.numel() for v in saved.values()) - buffers
    assert rows['parameters'] == f'{number:,d} of {number:,d} learn'
    classes = stored['meta']['dataset_meta']['classes']
    assert rows['data'] == (
        f'{tiny_shapes}: {COUNTS["num_train"]} images to train on, {COUNTS["num_val"]} images to '
        f'validate on, {len(classes)} classes'
    )
    assert re.fullmatch(
        r'1 of 1 epochs, 3 of 3 iterations, 0:\d\d:\d\d, [\d.]+ s an iteration', rows['length']
    )
    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    *_, last = map(json.loads, scalars.read_text().splitlines())
    score = f'{last["mIoU"]:.4f} (epoch 1)'
    assert rows['mIoU'] == f'last {score}, best {score}'
    assert re.fullmatch(r'\d+\.\d\d GiB.*', rows['peak memory'])
    assert Path(rows['last checkpoint']) == checkpoint
    for name in ('best checkpoint', 'resolved config'):
        assert Path(rows[name]).is_file()
    assert Path(rows['log'].split('  ')[0]).read_text()
    assert [re.split(r' (?=--|/)', one)[0] for one in commands] == [
        'tensorboard', 'python tools/test.py', 'python tools/infer.py', 'python tools/train.py',
    ]  # fmt: skip
    # Another backbone on the same data, with the same options.
    words = shlex.split(commands[-1])
    assert words[2] == rows['recipe']
    # Nothing of this run is overwritten.
    assert words[3:5] == ['--work-dir', f'{checkpoint.parent}_resnet18']
    options = parse_options(words[6:])
    assert options['model.backbone.model_name'] == 'resnet18'
    assert (options['data_root'], options['prepare_data']) == (str(tiny_shapes), None)
    assert (options['crop_size'], options['env_cfg.mp_cfg']) == ((64, 64), {})


def test_the_data_and_the_options_go_with_the_recipe():
    given = {'rate': 0.1, 'sizes': [(4, 8)], 'name': 'a&b', 'model.backbone.model_kwargs.x': 1}
    command = next_commands._again('resnet18', 'coco', given, ['--amp'], 'work_dirs/b c')
    words = shlex.split(command)
    assert words[:5] == ['--amp', '--data', 'coco', '--work-dir', 'work_dirs/b c']
    del given['model.backbone.model_kwargs.x']  # of the model that goes
    assert parse_options(words[6:]) == {**given, 'model.backbone.model_name': 'resnet18'}


def test_a_loss_that_is_no_number():
    lines = [dict(step=n, loss=value) for n, value in ((1, 2.0), (2, math.nan), (3, math.inf))]
    ((name, text),) = _broken(Run('a', training=lines))
    assert name == 'BROKEN' and 'in 2 of 3 logged lines, first at iteration 2' in text
    assert not [*_broken(Run('a', training=lines[:1]))]


def test_a_test(trained, tmp_path):
    checkpoint = trained('seg')
    scores = evaluate(
        config_of(checkpoint), checkpoint, work_dir=tmp_path, out=tmp_path / 'out.pkl'
    )
    first, rows, commands = rows_of(tmp_path)
    assert first == f'Tested {checkpoint}.'
    assert rows['backbone'] == 'test_resnet'
    assert re.search(rf': {COUNTS["num_val"]} images, [4-9] classes$', rows['data'])
    assert {k: rows[k] for k in scores} == {k: f'{v:.4f}' for k, v in scores.items()}
    assert Path(rows['written']).is_file() and Path(rows['log']).is_file()
    assert not commands


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A function: what is told after a training under a launcher, as lists of words."""
    monkeypatch.setattr(next_commands, 'get_world_size', lambda: 4)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.py').write_text("_base_ = 'b.py'\n")
    (tmp_path / 'b.py').write_text("model = dict(neck=dict(in_channels='${backbone.channels}'))\n")

    def tell(
        launcher, error=None, switches=(), here=4, name='model_name', work_dir='work', value='b'
    ):
        monkeypatch.setenv('LOCAL_WORLD_SIZE', str(here))
        runner = SimpleNamespace(
            cfg=dict(
                launcher=launcher,
                test_dataloader={'a': 1},
                model=dict(backbone={'type': 'a', name: value}),
            ),
            work_dir=work_dir,
            visualizer=SimpleNamespace(_vis_backends=[]),
        )
        told = next_commands.next_commands(
            runner, Path('a.py'), 'work/a.py', 'work/epoch_1.pth', error, None, {}, switches
        )
        return [shlex.split(one) for one in told]

    return tell


def test_paths_with_spaces_can_be_pasted(commands):
    for error in (None, ValueError()):
        for words in commands('none', error, work_dir='my work'):
            assert not {'my', 'work'} & {*words}


def test_no_other_backbone_is_offered_for_one_without_a_name(commands):
    assert 'model.backbone.model_name=resnet18' in commands('none')[-1]
    assert commands('none', name='depth')[-1][1] == 'tools/infer.py'


def test_nor_for_a_recipe_that_is_resolved_to_the_one_it_had(commands, tmp_path):
    (tmp_path / 'a.py').write_text("model = dict(backbone=dict(model_name='test_vit'))\n")
    assert commands('none')[-1][1] == 'tools/infer.py'


def test_nor_where_the_numbers_of_the_one_it_had_are_written(commands, tmp_path):
    (tmp_path / 'b.py').write_text('model = dict(neck=dict(in_channels=[64, 64]))\n')
    assert commands('none')[-1][1] == 'tools/infer.py'


def test_the_other_backbone_is_another(commands):
    again = commands('none', value='resnet18.a1_in1k')[-1]
    assert 'model.backbone.model_name=convnext_atto' in again and 'work_convnext_atto' in again


def test_tools_of_another_folder(commands, tmp_path, monkeypatch):
    (tmp_path / 'away').mkdir()
    for name in ('train.py', 'test.py', 'infer.py', 'dist_train.sh', '_torchrun.sh'):
        (tmp_path / 'away' / name).touch()
    monkeypatch.setattr('sys.argv', [str(tmp_path / 'away/train.py')])
    monkeypatch.chdir(tmp_path / 'away')
    (tmp_path / 'away/a.py').write_text("a = '${backbone.channels}'\n")
    assert [one[1] for one in commands('none')] == ['test.py', 'infer.py', 'train.py']
    assert commands('pytorch')[-1][0] == './dist_train.sh'
    monkeypatch.chdir(tmp_path)
    assert [one[1] for one in commands('none')] == [
        'away/test.py',
        'away/infer.py',
        'away/train.py',
    ]
    assert commands('pytorch')[-1][0] == 'away/dist_train.sh'
    (tmp_path / 'away/_torchrun.sh').unlink()  # somebody's own scripts
    assert commands('none')[0][1] == 'tools/test.py'
    monkeypatch.setattr('sys.argv', [''])  # a Python that was started by hand
    assert commands('none')[0][1] == 'tools/test.py'


def taken(words, monkeypatch):
    """What tools/train.py takes of a command, started by tools/dist_train.sh or by itself."""
    if words[0] == 'tools/dist_train.sh':
        words = ['python', 'train.py', words[1], '--launcher', 'pytorch', *words[3:]]
    monkeypatch.setattr('sys.argv', words[1:])
    return load_tool('train').parse_args()


def test_what_was_sharded_is_resumed_so(commands, monkeypatch):
    switches = ['--amp', '--fsdp']
    first, test, infer = commands('pytorch', KeyboardInterrupt(), switches)
    assert first[:3] == ['tools/dist_train.sh', 'work/a.py', '4']
    args = taken(first, monkeypatch)
    assert args.fsdp and args.resume is True and args.work_dir == 'work'
    assert not args.amp  # which the dumped config has
    assert test[:2] == ['python', 'tools/test.py'] and '--fsdp' not in [*test, *infer]
    *_, again = commands('pytorch', None, switches)
    assert again[:3] == ['tools/dist_train.sh', 'a.py', '4']
    args = taken(again, monkeypatch)
    assert args.fsdp and args.amp and args.config == 'a.py'


def test_processes_are_started_as_they_were(commands, monkeypatch):
    error = RuntimeError()
    assert commands('none', error)[0][:3] == ['python', 'tools/train.py', 'work/a.py']
    assert not taken(commands('none', error)[0], monkeypatch).fsdp
    assert commands('pytorch', error)[0][:3] == ['tools/dist_train.sh', 'work/a.py', '4']
    two = commands('pytorch', error, here=2)[0]
    assert two[0] == 'NNODES=2' and two[-5:-3] == ['work/a.py', '2']
    assert commands('slurm', error)[0][0] == 'srun'
    assert taken(commands('slurm', error)[0][2:], monkeypatch).launcher == 'slurm'
