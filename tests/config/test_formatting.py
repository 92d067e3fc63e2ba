"""A config's text says what MMEngine's own says, laid out in a hundredth of the time."""

import ast

import pytest
from mmengine.config import Config
from mmengine.config import config as mmengine_config
from support import CONFIGS, RECIPES

from vitmm.config import load_config
from vitmm.config.formatting import format_quickly, lay_out


@pytest.mark.parametrize('recipe', RECIPES, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_the_same_statements(recipe):
    config = load_config(recipe)
    mine = config.pretty_text
    plain = Config(config.to_dict(), format_python_code=False).pretty_text
    assert ast.dump(ast.parse(mine)) == ast.dump(ast.parse(plain))
    assert lay_out(mine) == mine  # what is laid out stays as it is


def test_values_of_any_kind():
    values = dict(
        none=None,
        empty=[dict(), [], (), {}],
        one=(1,),
        nested=(1, [(2,), dict(a=(3, (4, 5)))]),
        words='it\'s "so"\n\\d é',
        rows=['a' * 50, 'b' * 50],
        numbers=[1e-05, -0.1, 10**20, True, -3],
        keyed={0: 'a', 'no-name': dict(lr=0.1), 'b': [1]},
        inner={'model.lr': 1, 'class': 2},
        some={1},
        long='x' * 200,
    )
    text = Config(values).pretty_text
    found = Config.fromstring(text, '.py').to_dict()
    assert found == values
    assert repr(found['numbers']) == repr(values['numbers'])  # for True == 1


def test_what_fits_stands_on_one_line():
    config = Config(dict(a=dict(lr=0.1, betas=(0.9, 0.999)), b=dict(names=['abcdefgh'] * 9)))
    assert config.pretty_text == (
        'a = dict(betas=(0.9, 0.999), lr=0.1)\n'
        'b = dict(\n    names=[\n' + 8 * "        'abcdefgh',\n" + "        'abcdefgh'\n    ]\n)\n"
    )


def test_statements_that_are_no_values_stay():
    text = 'from torch.optim import SGD\n\noptimizer = dict(type=SGD)\na[0] = f(x)\n'
    assert ast.dump(ast.parse(lay_out(text))) == ast.dump(ast.parse(text))


def test_it_is_mmengines_own(tmp_path):
    format_quickly()
    plain = mmengine_config.FormatCode
    format_quickly()
    assert mmengine_config.FormatCode is plain
    with pytest.raises(SyntaxError, match='check the syntax'):
        _ = Config(dict(a=object())).pretty_text  # as MMEngine says it
    config = Config.fromfile(CONFIGS / 'cls/vit_linear.py')
    config.dump(tmp_path / 'dumped.py')
    assert (tmp_path / 'dumped.py').read_text() == config.pretty_text
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == config.to_dict()
