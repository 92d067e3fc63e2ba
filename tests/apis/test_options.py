"""--cfg-options: as MMEngine reads them, and as a config writes them."""

import argparse

import pytest
from mmengine.config import DictAction

from vitmm.apis.cli import parse_options
from vitmm.errors import VitmmError


@pytest.mark.parametrize(
    'pair',
    [
        'a.b=1', 'lr=1e-4', 'flag=True', 'none=None', 'name=resnet18', 'sizes=4,8', 'sizes=[4,8]',
        'pairs="[(a,b),(c,d)]"', 'names=[a,b]', 'name=a=b', 'hole=${data_root}',
        'one=(1,)', 'words=["a","b"]', 'nested=[[1,2],[3]]', 'mixed=[(1,2.5),None,True]',
    ],
)  # fmt: skip
def test_as_mmengine_reads_them(pair):
    parser = argparse.ArgumentParser()
    parser.add_argument('--pairs', nargs='*', action=DictAction)
    assert parse_options([pair]) == parser.parse_args(['--pairs', pair]).pairs


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('/data/my data', '/data/my data'),
        ("'/data/my data'", '/data/my data'),
        ('my (old)  data', 'my (old)  data'),
        ('red car, blue car', ['red car', 'blue car']),
        ('[red car , (blue car,2 )]', ['red car', ('blue car', 2)]),
        (' [ ( a , b ) , [c d]]', [('a', 'b'), ['c d']]),
        ('[wolf (grey), red fox]', ['wolf (grey)', 'red fox']),
        ('(old) photos', '(old) photos'),
        ('', ''),
        (' 3 ', 3),
        ('[1, 2', VitmmError),
    ],
)
def test_spaces_in_words_stay(text, value):
    if value is VitmmError:
        with pytest.raises(VitmmError, match='cannot be read'):
            parse_options([f'key={text}'])
    else:
        assert parse_options([f'key={text}']) == {'key': value}


@pytest.mark.parametrize(
    'text, value',
    [
        (
            "[dict(type='vitmm.EpochSeedHook'), dict(type='vitmm.ThawHook', after=5)]",
            [{'type': 'vitmm.EpochSeedHook'}, {'type': 'vitmm.ThawHook', 'after': 5}],
        ),
        ("dict(type='A', b=dict(c=[1, (2, 3)]))", {'type': 'A', 'b': {'c': [1, (2, 3)]}}),
        ("{'type': 'A', 'b': -1.5}", {'type': 'A', 'b': -1.5}),
    ],
)
def test_as_a_config_writes_them(text, value):
    assert parse_options([f'key={text}', 'lr=0.1']) == {'key': value, 'lr': 0.1}


@pytest.mark.parametrize('pair', ['key', 'key=[dict(a=b, c=1)]', 'key=[1,2', 'key=[dict(a=1), b]'])
def test_what_cannot_be_read(pair):
    with pytest.raises(VitmmError, match='key'):
        parse_options([pair])


def test_nothing_is_called():
    with pytest.raises(VitmmError):
        parse_options(["key=[__import__('os').getcwd(), print(1, 2)]"])
