"""Where a key was said: the line of a recipe or of one of its bases names it."""

from pathlib import Path

import pytest
from support import CONFIGS, PUBLISHED, RECIPES

from vitmm.config import load_config
from vitmm.config.origin import COMMAND_LINE, Origins


def keys(value, key=()):
    """Every key inside a config that ends with a name."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, one in inner:
        if isinstance(name, str):
            yield (*key, name)
        if isinstance(one, dict | list | tuple):
            yield from keys(one, (*key, name))


@pytest.mark.parametrize(
    'recipe', RECIPES[::2] + PUBLISHED[::4], ids=lambda p: f'{p.parent.name}-{p.stem}'
)
def test_the_line_names_the_key(recipe):
    raw = load_config(recipe).to_dict()
    origins = Origins(recipe, raw=raw)
    told = 0
    for key in keys(raw):
        place = origins.find(key)
        line = Path(place.file).read_text().splitlines()[place.line - 1]
        if key[-1] in line:
            told += 1
        else:  # a comprehension, which does not write its keys
            assert place == origins.find(key[:-1]), key
    assert told > 0.6 * len([*keys(raw)])


def test_the_last_word_counts(tmp_path):
    (tmp_path / 'base.py').write_text(
        'part = dict(a=1)\n'
        'one = dict(\n'
        '    two=part,\n'
        '    kept=1,\n'
        '    dropped=dict(\n'
        '        old=1,\n'
        '    ),\n'
        ')\n'
        "hole = dict(inner='${one.two}')\n"
        "steps = ['${one}', dict(name=1)]\n"
    )
    recipe = tmp_path / 'recipe.py'
    recipe.write_text(
        "_base_ = 'base.py'\n"
        'one = dict(\n'
        '    dropped=dict(\n'
        '        _delete_=True,\n'
        '        new=2,\n'
        '    ),\n'
        ')\n'
        '_base_.one.kept = 3\n'
    )
    raw = load_config(recipe).to_dict()
    origins = Origins(recipe, options={'one.two.a': 5, 'steps.1.name': 2}, raw=raw)

    def place(*key):
        found = origins.find(key)
        return Path(found.file).name, found.line

    assert place('one') == ('recipe.py', 2)
    assert place('one', 'dropped', 'new') == ('recipe.py', 5)
    assert place('one', 'dropped', 'old') == ('recipe.py', 3)  # gone: the part that it was in
    assert place('one', 'kept') == ('recipe.py', 8)
    assert place('one', 'two', 'a') == place('hole', 'inner', 'a') == (COMMAND_LINE, None)
    assert place('steps', 1, 'name') == (COMMAND_LINE, None)
    assert place('steps', 0, 'kept') == ('recipe.py', 8)
    assert Origins(recipe, raw=raw).find(('one', 'two', 'a')).line == 1  # where it is written
    assert place('nowhere') == ('recipe.py', None)


def test_another_data_set_takes_the_place_of_its_own():
    recipe = CONFIGS / 'det' / 'vit_retinanet.py'
    raw = load_config(recipe, 'voc').to_dict()
    found = Origins(recipe, 'voc', raw=raw).find(('train_list',))
    assert Path(found.file).name == 'voc.py' and found.line
