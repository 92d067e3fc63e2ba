import pytest

from vitmm.config.holes import fill
from vitmm.errors import ConfigError

NAMES = {
    'backbone': {'channels': [40, 80, 160], 'mean': [1.5]},
    'data_root': 'data/x',
    'train_cfg': {'max_epochs': 3},
}


def look_up(name):
    if name not in NAMES:
        raise KeyError(NAMES)
    return NAMES[name]


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('${backbone.channels}', [40, 80, 160]),
        ('${backbone.channels[2]}', 160),
        ('${backbone.channels[-1]}', 160),
        ('${train_cfg.max_epochs}', 3),
        ('${data_root}/a.json', 'data/x/a.json'),
        ('${data_root}/${train_cfg.max_epochs}', 'data/x/3'),
        ('no hole', 'no hole'),
        ('$5 {x}', '$5 {x}'),
    ],
)
def test_fills(text, value):
    assert fill(text, look_up) == value


def test_keeps_types_and_leaves_the_original_alone():
    config = {'a': [{'b': ('${backbone.mean}', 1)}], 'c': None}
    assert fill(config, look_up) == {'a': [{'b': ([1.5], 1)}], 'c': None}
    assert config['a'][0]['b'][0] == '${backbone.mean}'


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('${backbone.chanels}', ['model.x', "no 'chanels'", 'channels']),
        ('${bakbone.channels}', ["nothing is called 'bakbone'", 'backbone']),
        ('${backbone.channels[7]}', ["no '7'", '0 to 2']),
        ('${backbone.channels.first}', ["no 'first'"]),
        ('${}', ['model.x']),
        ('${backbone channels}', ['model.x']),
        ('${backbone.channels', ['not closed']),
        ('${data_root.x}', ["no 'x'"]),
        ('${__import__("os")}', ['model.x']),
    ],
)
def test_a_bad_hole_is_named_with_its_place(text, words):
    with pytest.raises(ConfigError) as error:
        fill({'model': {'x': text}}, look_up)
    for word in words:
        assert word in str(error.value)
