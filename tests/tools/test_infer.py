"""tools/infer.py, publish_model.py and test.py one after the other, as a user runs them."""

import json

import pytest
from support import fork_tool, load_tool


@pytest.fixture
def call(monkeypatch):
    """A function: run a tool in this process, which has imported everything already."""

    def main(tool, *words):
        monkeypatch.setattr('sys.argv', [tool, *map(str, words)])
        load_tool(tool).main()

    return main


@pytest.mark.parametrize('tool', ['infer.py', 'publish_model.py'])
def test_help_answers(tool):
    done = fork_tool(tool, '--help')
    assert done.returncode == 0
    assert 'usage' in done.stdout


def test_publish_then_use(call, capsys, trained, tiny_shapes, tmp_path):
    folder, out = tmp_path / 'published', tmp_path / 'out'
    call('publish_model', trained('det'), folder, '--licence', 'mit')
    assert f'tools/test.py {folder}' in capsys.readouterr().out
    call('test', folder, '--work-dir', tmp_path / 'test')
    assert 'coco/segm_mAP' in next((tmp_path / 'test').rglob('*.log')).read_text()
    images = f'{tiny_shapes}/JPEGImages/val*.jpg'
    done = fork_tool('infer.py', folder, images, '--out', out, '--device', 'cpu')
    assert done.returncode == 0, done.stderr[-2000:]
    assert '4 images (det)' in done.stdout
    assert 'image/s' in done.stderr  # the bar
    assert len(list((out / 'pictures').iterdir())) == 4
    assert all('segmentation' in e for e in json.loads((out / 'results.json').read_text()))


@pytest.mark.parametrize(
    ('tool', 'words', 'expected'),
    [
        ('infer', ['/nowhere.pth', '.', '--out', 'x'], 'no image'),
        ('publish_model', ['/nowhere.pth', 'x'], '/nowhere.pth'),
        ('test', ['configs/cls/vit_linear.py'], 'give a checkpoint'),
    ],
)
def test_one_clear_message(tool, words, expected, call, tmp_path):
    places = {'.': str(tmp_path), 'x': str(tmp_path / 'x')}
    with pytest.raises(SystemExit, match=f'^error: .*{expected}'):
        call(tool, *(places.get(word, word) for word in words))
    assert not (tmp_path / 'x').exists()
