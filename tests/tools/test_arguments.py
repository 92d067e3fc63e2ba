"""What the tools parse is what their functions take."""

import inspect
import sys
from importlib import import_module

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
