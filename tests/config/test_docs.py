"""The commands of the pages about classification mean what they say: they resolve."""

import re
import shlex

import pytest
from support import ROOT

from vitmm.apis.cli import parse_options
from vitmm.config import load_config, resolve

PAGE = ROOT / 'docs' / 'classification.md'
BLOCKS = re.findall(r'```bash\n(.*?)```', PAGE.read_text(), re.DOTALL)
COMMANDS = [
    line
    for block in BLOCKS
    for line in block.splitlines()
    if re.match(r'python tools/(train|test|knn)\.py configs/', line)
]


@pytest.mark.parametrize('command', COMMANDS)
def test_a_command_resolves(command, tiny_options):
    words = shlex.split(command, comments=True)[2:]
    pairs = words[words.index('--cfg-options') + 1 :] if '--cfg-options' in words else []
    options = parse_options(pairs)
    assert len(options) == len(pairs)
    config = resolve(load_config(ROOT / words[0], options={**options, **tiny_options}))
    for key, value in options.items():
        found = config
        for part in key.split('.'):
            found = found[part]
        if key not in tiny_options and '${' not in str(value):
            assert found == value


def test_the_page_shows_the_recipe_as_it_is():
    shown = re.search(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)[1]
    recipe = (ROOT / 'configs' / 'cls' / 'swin_cifar10.py').read_text()
    assert recipe.partition('\n\n')[2] == shown
