"""The collector of reference cycles rests while a command starts, and does not hold up its end."""

import gc
import multiprocessing
import subprocess
import sys

import pytest
from support import CONFIGS, COUNTS, SMALL_CLASSIFIER, as_cfg_options, on_path, run_tool

from vitmm import collector


@pytest.fixture(autouse=True)
def as_before():
    """These tests' process collects again."""
    yield
    gc.enable()


def test_it_rests_until_the_start_is_over():
    made = [[] for _ in range(10_000)]
    before = gc.get_freeze_count()
    with collector.starting():
        assert not gc.isenabled()
        collector.set_aside()
        assert gc.get_freeze_count() >= before + len(made)
        assert not gc.isenabled()
        collector.started()
        assert gc.isenabled()
    assert gc.isenabled()


def test_workers_that_begin_meanwhile_collect():
    context = multiprocessing.get_context('fork')
    with collector.starting(), context.Pool(1) as pool:
        assert pool.apply(gc.isenabled)
        assert not gc.isenabled()


def test_it_goes_on_after_an_error():
    with pytest.raises(OSError, match='no file'), collector.starting():
        raise OSError('no file')
    assert gc.isenabled()


def test_who_has_it_off_or_starts_nothing_keeps_it_so():
    before = gc.get_freeze_count()
    collector.set_aside()
    collector.started()
    assert gc.get_freeze_count() <= before  # some may have gone meanwhile
    gc.disable()
    with collector.starting():
        collector.started()
        assert not gc.isenabled()
    assert not gc.isenabled()


# Says how it is before the first iteration: on, most set aside, little looked through till then.
LOOK = """
import gc
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

begun = []  # generations of collections of this process
gc.callbacks.append(lambda phase, info: phase == 'start' and begun.append(info['generation']))

@HOOKS.register_module()
class Look(Hook):
    def say(self, *what):
        print('SEEN', *what, flush=True)

    def before_train(self, runner):
        self.say(gc.isenabled(), gc.get_freeze_count() > 200_000, begun.count(2) <= 4)

    def before_train_epoch(self, runner):
        self.say(len(gc.get_objects()) < 200_000)
"""


def test_a_training_starts_without_and_runs_with_it(tiny_shapes, tmp_path):
    (tmp_path / 'look.py').write_text(LOOK)
    options = {
        'data_root': str(tiny_shapes),
        'prepare_data': COUNTS,
        **SMALL_CLASSIFIER,
        'train_cfg.max_epochs': 1,
        'train_dataloader.num_workers': 1,
        'custom_imports.imports': '[vitmm,look]',
        'custom_hooks': "[dict(type='Look')]",
    }
    recipe = CONFIGS / 'cls' / 'resnet_gem.py'
    words = ['--work-dir', tmp_path / 'run', '--cfg-options', *as_cfg_options(options)]
    done = run_tool('train.py', recipe, *words, env=on_path(tmp_path))
    assert done.returncode == 0, done.stderr
    seen = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith('SEEN')]
    assert seen == [['True', 'True', 'True'], ['True']]


# What is in a cycle is finalised as ever; what was there before is not looked through.
LEAVE = """
import atexit, gc
atexit.register(lambda: print('to look through:', len(gc.get_objects()) < 100_000))
from vitmm.apis.cli import run
import mmdet.models

class Holder:
    def __del__(self):
        print('finalised')

def job():
    holder = Holder()
    holder.itself = holder
    gc.disable()  # left to the end

run(job)
"""


def test_a_command_ends_without_a_look_through_its_imports(tmp_path):
    """But where nanobind would say of them that they have leaked: triton since 3.9."""
    triton = pytest.importorskip('triton._C.libtriton', reason='a torch without triton')
    spared = type(type(triton.ir.location)).__module__ != 'nanobind'
    script = tmp_path / 'leave.py'
    script.write_text(LEAVE)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f'to look through: {spared}\nfinalised\n'
    assert not done.stderr
