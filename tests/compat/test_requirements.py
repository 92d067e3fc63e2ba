"""Each way in which mmcv can be wrong, staged in a folder of its own."""

import re
import sys
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES

import pytest
from packaging.requirements import Requirement
from support import ROOT

from vitmm.compat import requirements
from vitmm.compat.requirements import MmcvError, check_mmcv


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty site-packages, and a function that installs an mmcv into it."""
    monkeypatch.setattr(sys, 'path', [str(tmp_path)])
    for name in [name for name in sys.modules if name.partition('.')[0] == 'mmcv']:
        monkeypatch.delitem(sys.modules, name)

    def install(distribution, version, compiled=False, without=(), registered=True):
        for name in ('__init__.py', 'version.py', 'ops/__init__.py', 'cnn/__init__.py'):
            if name not in without:
                file = tmp_path / 'mmcv' / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"__version__ = '{version}'\n")
        if compiled:
            (tmp_path / 'mmcv' / f'_ext{EXTENSION_SUFFIXES[0]}').touch()
        if registered:
            info = tmp_path / f'{distribution.replace("-", "_")}-{version}.dist-info'
            info.mkdir()
            (info / 'METADATA').write_text(f'Name: {distribution}\nVersion: {version}\n')

    return install


def message():
    with pytest.raises(MmcvError) as caught:
        check_mmcv()
    return str(caught.value)


def test_the_installed_one_is_right():
    assert requirements.OLDEST <= requirements._numbers(check_mmcv().version) < (2, 2, 0)


def test_missing(site):
    text = message()
    assert 'there is none' in text and 'pip install "mmcv-lite==2.1.0"' in text


@pytest.mark.parametrize(
    ('distribution', 'compiled'), [('mmcv-lite', False), ('mmcv', True), ('onedl-mmcv', True)]
)
def test_right(site, distribution, compiled):
    site(distribution, '2.1.0', compiled=compiled)
    assert check_mmcv() == requirements.Mmcv('2.1.0', compiled)


def test_right_without_having_been_installed(site):
    site('mmcv', '2.0.1', compiled=True, registered=False)
    assert check_mmcv() == requirements.Mmcv('2.0.1', True)


@pytest.mark.parametrize('version', ['2.2.0', '2.3.6', '1.7.2'])
def test_wrong_version(site, version):
    site('mmcv', version, compiled=True)
    text = message()
    assert version in text and '>=2.0.0,<2.2.0' in text
    assert 'pip uninstall -y mmcv && pip install "mmcv-lite==2.1.0"' in text


def test_two_over_one_another(site):
    site('mmcv', '2.1.0', compiled=True)
    site('mmcv-lite', '2.1.0')
    text = message()
    assert 'both installed' in text and 'pip uninstall -y mmcv mmcv-lite &&' in text


@pytest.mark.parametrize('gone', ['__init__.py', 'version.py', 'ops/__init__.py'])
def test_half_removed(site, gone):
    site('mmcv-lite', '2.1.0', without=[gone])
    text = message()
    assert 'broken' in text and 'pip uninstall -y mmcv-lite &&' in text


def test_only_the_metadata_is_left(site, tmp_path):
    site('mmcv-lite', '2.1.0')
    (tmp_path / 'mmcv').rename(tmp_path / 'elsewhere')
    assert 'broken' in message()


def needs(*names: str, extra: str = '') -> set[str]:
    """The packages of these names and all that they ask for, as those that are installed say."""
    found: set[str] = set()
    waiting = [(name, extra) for name in names]
    while waiting:
        name, extra = waiting.pop()
        name = re.sub(r'[-_.]+', '-', name).lower()
        if name in found:
            continue
        found.add(name)
        try:
            asked = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # opencv-python, in whose place there is another
            continue
        for one in map(Requirement, asked):
            if one.marker is None or one.marker.evaluate({'extra': extra}):
                waiting.append((one.name, ''))
    return found


def test_what_lies_beside_torch_is_all_that_is_asked_for():
    file = (ROOT / 'requirements' / 'beside_torch.txt').read_text()
    listed = {line for line in file.splitlines() if not line.startswith('#')}
    pinned = re.findall(r'^([\w-]+)==', (ROOT / 'requirements' / 'lock.txt').read_text(), re.M)
    assert listed <= set(pinned)
    usual = re.search('the usual: (.*?)[.]', file.replace('\n# ', ' '), re.DOTALL)[1].split(', ')
    there = needs('torch', 'torchvision', *usual) | {'vitmm', 'opencv-python'}
    needed = needs('vitmm', extra='lite') - there
    assert needed <= listed
    if sys.version_info >= (3, 11):  # with 3.10, importlib-metadata and matplotlib ask for others
        assert needed == listed - {'setuptools'}
