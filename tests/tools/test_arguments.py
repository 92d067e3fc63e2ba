"""What the tools parse is what their functions take."""

import inspect
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest
from support import load_tool

from vitmm.apis.cli import settings_of

TOOLS = {
    'train': ('train', ['a.py']),
    'test': ('test', ['a.py', 'a.pth']),
    'knn': ('knn', ['a.py']),
    'publish_model': ('publish', ['a.pth', 'b']),
    'export': ('export', ['a.pth', 'b.onnx']),
    'infer': ('inference', ['a.pth', 'b.jpg', '--out', 'c']),
    'visualize': ('visualize', ['a.pth', 'b.jpg', '--out', 'c']),
    'browse_dataset': ('browse_dataset', ['a.py']),
    'analyze_predictions': ('predictions.analyze', ['a.py', 'a.pth', '--out', 'c']),
    'compare': ('compare.compare', ['a.py', '--backbones', 'b']),
}
NAMES = {'publish_model': 'publish'}


@pytest.mark.parametrize('tool', TOOLS)
def test_every_argument_has_its_parameter(tool, monkeypatch):
    module, words = TOOLS[tool]
    words = [tool, *words, '--cfg-options', 'a.b=1', 'c=[2,3]']
    monkeypatch.setattr(sys, 'argv', words)
    settings = settings_of(load_tool(tool).parse_args())
    function = getattr(import_module(f'vitmm.apis.{module}'), NAMES.get(tool, tool))
    assert set(settings) == set(inspect.signature(function).parameters)
    assert settings['options'] == {'a.b': 1, 'c': [2, 3]}


@pytest.mark.parametrize(
    ('tool', 'function'),
    [('merge_lora', 'merge.merge_checkpoint'), ('publish_model', 'publish.publish')],
)
def test_what_is_printed_can_be_pasted(tool, function, monkeypatch, capsys):
    out = '/tmp/a b=[1].pth'
    monkeypatch.setattr(f'vitmm.apis.{function}', lambda *args, **kwargs: Path(out))
    monkeypatch.setattr(sys, 'argv', [tool, 'a.pth', out])
    load_tool(tool).main()
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    commands = [line for line in lines if line[0] == 'python']
    assert commands and all(out in words for words in commands)
