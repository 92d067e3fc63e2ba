"""Annotation files are what Python's json makes of them, and parsed once a start."""

import gc
import json
import os

import pytest
from pycocotools.coco import COCO

from vitmm import collector
from vitmm.datasets import DataError, json_files
from vitmm.datasets.coco_file import read_coco
from vitmm.datasets.json_files import read_json, shared_json, take_json

ODD = [
    '{"a": [1, 2.5e-3, true, null, "\\u00e4"], "a": 2}',
    '[NaN, Infinity, -Infinity]',
    '[18446744073709551615, -9223372036854775808, 1e400, 0.1]',
    '"\\ud800"',
    '\ufeff[1]',
]


@pytest.fixture(autouse=True)
def nothing_kept():
    yield
    assert not json_files._kept


@pytest.fixture
def parsed(monkeypatch):
    """The paths that were parsed."""
    paths, parse = [], json_files.read_json
    monkeypatch.setattr(json_files, 'read_json', lambda path: paths.append(path) or parse(path))
    return paths


@pytest.mark.parametrize('text', ODD)
def test_content_is_that_of_pythons_json(text, tmp_path):
    path = tmp_path / 'some.json'
    path.write_bytes(text.encode())
    assert repr(read_json(path)) == repr(json.loads(text.encode()))


@pytest.mark.parametrize(
    'content, words',
    [
        (b'{"a": 1\n"b"}', r'not readable JSON, line 2 column 1 .*is the file whole\?'),
        (b'', 'not readable JSON, line 1 column 1'),
        (b'["\xff"]', 'cannot read .*some.json'),
        (None, 'annotation file not found: .*some.json'),
    ],
)
def test_what_is_none(content, words, tmp_path):
    path = tmp_path / 'some.json'
    if content is not None:
        path.write_bytes(content)
    for read in (read_json, shared_json, take_json):
        with pytest.raises(DataError, match=words):
            read(path)
    assert gc.isenabled()


def test_a_start_parses_once(tiny_shapes, parsed):
    path = tiny_shapes / 'coco/instances_train.json'
    expected = json.loads(path.read_text())
    read_coco.__globals__['_read_coco'].cache_clear()
    with collector.starting():
        known = read_coco(path)
        assert parsed == [str(path)]
        api = COCO(str(path))
        assert parsed == [str(path)]
        assert api.dataset == expected
        assert len(api.anns) == known.num_annotations
        # It is the data set's own now, and may be changed.
        api.dataset.clear()
        assert COCO(path).dataset == expected and len(parsed) == 2
        read_coco.__globals__['_read_coco'].cache_clear()
        read_coco(path)
        assert json_files._kept
        collector.started()
        assert not json_files._kept  # what nobody took goes as training begins


def test_nothing_is_kept_at_other_times(tiny_shapes, parsed):
    path = tiny_shapes / 'coco/instances_val.json'
    assert shared_json(path) == take_json(path)
    assert len(parsed) == 2


def test_a_changed_file_is_read_anew(tmp_path, parsed):
    path = tmp_path / 'some.json'
    path.write_text('[1]')
    with collector.starting():
        assert shared_json(path) == [1]
        path.write_text('[1, 2]')
        os.utime(path, ns=(1, 1))
        assert take_json(path) == [1, 2]
    assert len(parsed) == 2


def test_what_cocos_api_refuses_it_still_refuses(tmp_path):
    with pytest.raises(FileNotFoundError):
        COCO(str(tmp_path / 'none.json'))
    (tmp_path / 'list.json').write_text('[]')
    with pytest.raises(AssertionError, match='not in the format of COCO'):
        COCO(tmp_path / 'list.json')
    assert COCO().dataset == {}
