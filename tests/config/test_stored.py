import pytest
from mmengine.config import Config
from support import RECIPES

from vitmm.config import load_config
from vitmm.config.stored import read_stored, without
from vitmm.errors import ConfigError


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_reads_what_mmengine_writes(path):
    config = load_config(path)
    assert Config(read_stored(config.pretty_text)).to_dict() == config.to_dict()


def test_keys_that_are_no_names():
    text = Config(dict(a={'b.c': dict(d=1), '.e': {'f.': (2,)}})).pretty_text
    assert 'dict({' in text
    assert read_stored(text) == dict(a={'b.c': dict(d=1), '.e': {'f.': (2,)}})


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        "a = __import__('os').system('true')",
        "a = dict(**open('/etc/passwd'))",
        'a = dict([(1, 2)])',
        'a = dict({1: 2}, b=3)',
        "a = dict({1: print('hello')})",
        'a = [x for x in (1, 2)]',
        'a = {**dict(b=1)}',
        'a.b = 1',
        "print('hello')",
        'a = (1,',
    ],
)
def test_runs_nothing(text):
    with pytest.raises(ConfigError, match='not plain'):
        read_stored(text)


def test_without():
    config = dict(a=dict(b=dict(c=1, d=2)), e=3)
    assert without(config, 'a.b.c') == dict(a=dict(b=dict(d=2)), e=3)
    assert without(config, 'a.x.c') == config
    assert config['a']['b'] == dict(c=1, d=2)
