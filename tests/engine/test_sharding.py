"""FSDP without other processes: which parts a backbone has, slices, refusals; and as a user."""

from types import SimpleNamespace

import pytest
import torch
from families import FAMILIES, cut_short
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from support import CONFIGS, as_cfg_options, needs_fsdp, run_tool
from torch import nn

from vitmm.apis.fsdp import use_fsdp
from vitmm.apis.scalars import last_scores
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.engine.fsdp_runner import FSDPRunner
from vitmm.engine.sharding import gather, shard_model, shard_optimizer
from vitmm.errors import ConfigError
from vitmm.models import TimmBackbone
from vitmm.models.backbones.units import find_units

DET = CONFIGS / 'det' / 'vit_retinanet.py'


@needs_fsdp
@pytest.mark.slow
def test_as_a_user_does(tiny_options, tmp_path):
    options = {
        **{k: v for k, v in tiny_options.items() if k != 'env_cfg.mp_cfg'},
        'image_scale': '(64,64)',
        'model.test_cfg.score_thr': 0.0,
    }
    done = run_tool(
        'dist_train.sh', DET, 2, '--fsdp', '--work-dir', tmp_path,
        '--cfg-options', *as_cfg_options(options), env={'CUDA_VISIBLE_DEVICES': '-1'},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'Finished vit_retinanet' in done.stdout
    (scalars,) = tmp_path.rglob('scalars.json')
    figures = last_scores(scalars)
    tested = evaluate(tmp_path / DET.name, tmp_path / 'epoch_1.pth', work_dir=tmp_path / 'test')
    assert figures and tested == pytest.approx(figures, abs=1e-3)
    assert next(tmp_path.glob('best_*.pth'))


def test_one_process_is_told_how_to_start_more(tiny_options):
    with pytest.raises(ConfigError, match=r'tools/dist_train\.sh CONFIG N --fsdp'):
        train(DET, fsdp=True, options=tiny_options)


@pytest.mark.parametrize('gone', ['FSDPModule', 'FSDPModule.set_reshard_after_forward'])
def test_an_old_torch_is_told(gone, monkeypatch):
    monkeypatch.delattr(f'torch.distributed.fsdp.{gone}', raising=False)
    with pytest.raises(ConfigError, match=r'torch 2\.8 or later'):
        use_fsdp(Config(dict(launcher='pytorch')))


@needs_fsdp
def test_a_torch_that_waits_for_unused_parameters_is_told(monkeypatch):
    monkeypatch.delattr(
        'torch.distributed.fsdp.FSDPModule.set_reduce_scatter_unused_params', raising=False
    )
    use_fsdp(Config(dict(launcher='pytorch', find_unused_parameters=False)))
    with pytest.raises(ConfigError, match='find_unused_parameters=True needs'):
        use_fsdp(Config(dict(launcher='pytorch', find_unused_parameters=True)))


@needs_fsdp
def test_another_runner_is_refused():
    with pytest.raises(ConfigError, match='Mine'):
        use_fsdp(Config(dict(launcher='pytorch', runner_type='Mine')))


class Model(nn.Module):
    """A backbone, and something on top that has no part of its own."""

    def __init__(self, **settings):
        super().__init__()
        self.backbone = TimmBackbone(**settings)
        self.head = nn.Conv2d(self.backbone.channels[-1], 4, 1)

    def forward(self, images):
        return self.head(self.backbone(images)[-1])


@pytest.fixture
def group():
    """Start a process group of this process alone, or pretend to be one of many."""

    def start(processes=1, backend='fake'):
        torch.distributed.init_process_group(
            backend, rank=0, world_size=processes, store=torch.distributed.HashStore()
        )

    yield start
    torch.distributed.destroy_process_group()


@needs_fsdp
@pytest.mark.parametrize('processes', [2, 8])
def test_a_large_vit_in_slices(group, processes):
    group(processes)
    with torch.device('meta'):
        model = Model(model_name='vit_large_patch16_224', model_kwargs=dict(img_size=1024))
    whole = {name: p.numel() for name, p in model.named_parameters()}
    shard_model(model, 'cpu')
    own = sum(p.to_local().numel() for p in model.parameters())
    assert own / sum(whole.values()) == pytest.approx(1 / processes, rel=0.01)
    # Whole at any moment: a block, and what is no block.
    blocks = [f'backbone.model.blocks.{i}.' for i in range(24)]
    assert len(model.backbone.units()) == len(blocks)
    assert sum(n for name, n in whole.items() if not name.startswith(tuple(blocks))) < 6e6


def test_what_blocks_share_or_others_read_is_no_unit():
    assert find_units('vit_tiny_patch16_224') == tuple(f'blocks.{i}' for i in range(12))
    assert find_units('resnet18') == tuple(f'layer{i}.{j}' for i in range(1, 5) for j in range(2))
    # Its blocks share the encodings of positions.
    assert not [name for name in find_units('coat_tiny') if 'serial_blocks' in name]


@needs_fsdp
@pytest.mark.parametrize(
    'name',
    [
        'vit_tiny_patch16_224',
        'convnext_atto',
        'resnet18',
        'test_nfnet',
        *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES),
    ],
)
def test_a_sharded_backbone_is_the_same(name, group):
    group(backend='gloo')
    torch.manual_seed(0)
    # Double, as the order of sums differs.
    model = Model(model_name=name, model_kwargs=cut_short(name)).double().eval()
    images = torch.randn(2, 3, *model.backbone.canvas.native, dtype=torch.float64)
    expected = model(images)
    expected.square().mean().backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.train().eval()  # LeViT and others keep their biases, with a graph, until they train
    shard_model(model, 'cpu')
    found = model(images)
    torch.testing.assert_close(found, expected)
    found.square().mean().backward()
    whole = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert whole.keys() == gradients.keys()
    for key, gradient in gather(whole).items():
        torch.testing.assert_close(gradient, gradients[key])


class Numbered(nn.Module):
    """Matrices, vectors, and a weight that is one number."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.layer(x) * self.scale


@needs_fsdp
@pytest.mark.parametrize('fused', [None, True])
def test_an_optimiser_goes_on_with_slices(fused, group):
    group(backend='gloo')
    torch.manual_seed(0)
    whole, sharded = Numbered(), Numbered()
    sharded.load_state_dict(whole.state_dict())
    # As with --amp, which does not scale losses in bfloat16: torch's scaler takes no mixture.
    scaler = torch.amp.GradScaler('cpu', enabled=False)
    wrappers = {}
    for model in (whole, sharded):
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=fused)
        wrappers[model] = OptimWrapper(optimizer, clip_grad=dict(max_norm=0.1))

    def step(model):
        with torch.autocast('cpu', torch.bfloat16):
            loss = model(torch.ones(2, 8)).float().square().mean()
        scaler.scale(loss).backward()
        wrappers[model].step()
        wrappers[model].zero_grad()

    step(whole)
    step(sharded)
    before = dict(sharded.named_parameters())
    shard_model(sharded, 'cpu')
    shard_optimizer(wrappers[sharded], before, sharded)
    step(whole)
    step(sharded)
    for one, two in (
        (whole.state_dict(), sharded.state_dict()),
        *zip(
            wrappers[whole].optimizer.state_dict()['state'].values(),
            wrappers[sharded].optimizer.state_dict()['state'].values(),
            strict=True,
        ),
    ):
        torch.testing.assert_close(gather(dict(two)), dict(one))


@needs_fsdp
@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='needs two GPUs')
@pytest.mark.parametrize('amp', [[], ['--amp']], ids=['', 'amp'])
def test_on_two_gpus(amp, tiny_options, tmp_path):
    words = as_cfg_options({k: v for k, v in tiny_options.items() if k != 'env_cfg.mp_cfg'})
    for name, switch in (('ddp', []), ('fsdp', ['--fsdp'])):
        done = run_tool(
            'dist_train.sh', CONFIGS / 'cls/vit_linear.py', 2, *switch, *amp,
            '--work-dir', tmp_path / name, '--cfg-options', *words,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    ddp, fsdp = (torch.load(tmp_path / n / 'epoch_1.pth') for n in ('ddp', 'fsdp'))
    assert list(ddp['state_dict']) == list(fsdp['state_dict'])
    tolerance = 1e-2 if amp else 1e-4
    for name, tensor in ddp['state_dict'].items():
        torch.testing.assert_close(fsdp['state_dict'][name], tensor, rtol=0, atol=tolerance)


@pytest.mark.parametrize('shape', [(), (1,)])
@pytest.mark.parametrize('kind', [OptimWrapper, AmpOptimWrapper])
def test_a_gradient_scaler_beside_numbers_is_refused(shape, kind):
    """torch scales slices and whole tensors in one call, and fails."""
    model = nn.Module()
    model.scale = nn.Parameter(torch.ones(shape))
    runner = SimpleNamespace(model=model, optim_wrapper=object.__new__(kind))
    if shape == () and kind is AmpOptimWrapper:
        with pytest.raises(ConfigError, match=r'\(scale\): train in bfloat16'):
            FSDPRunner._check_scaler(runner)
    else:
        FSDPRunner._check_scaler(runner)
