"""Bad input: one clear message, and the results before it are kept."""

import csv
import json
import struct

import pytest
from predictions import change, frames, swap

from vitmm.apis.inference import Predictor, infer
from vitmm.datasets.errors import DataError
from vitmm.errors import ConfigError, VitmmError, WeightsError


def test_a_video_that_ends_early_keeps_what_was_found(trained, clip, tmp_path):
    content = bytearray(clip.read_bytes())
    for place in (content.find(b'avih') + 24, content.find(b'strh') + 40):
        assert struct.unpack('<I', content[place : place + 4]) == (7,)
        content[place : place + 4] = struct.pack('<I', 50)
    clip.write_bytes(content)
    with pytest.raises(DataError, match=r'clip.avi ends early: 7 of its 50'):
        infer(trained('cls'), clip, tmp_path / 'out', batch_size=4)
    assert len(list(frames(tmp_path / 'out/pictures/clip.mp4'))) == 7
    assert (tmp_path / 'out/results.csv').read_text().count('\n') == 8
    (tmp_path / 'none.mp4').write_bytes(b'no video')
    said = infer(trained('cls'), f'{tmp_path}/*.*', tmp_path / 'out', skip_bad=True)
    assert '7 images (cls), 2 bad' in said


def test_a_bad_image_ends_it_and_the_results_before_are_kept(trained, images, tmp_path):
    (images / 'b/b.jpg').write_bytes((images / 'a.jpg').read_bytes()[:300])
    out = tmp_path / 'out'
    # The advice is that of this tool, not of training.
    with pytest.raises(
        DataError, match=r'b/b\.jpg cannot be read \([\w ]+\)\. --skip-bad [a-z ]+\.$'
    ):
        infer(trained('seg'), f'{images}/b/*.jpg', out, formats=['csv', 'coco', 'masks'])
    assert {r['image'] for r in csv.DictReader((out / 'results.csv').open())} == {'a.jpg'}
    assert {r['file_name'] for r in json.loads((out / 'results.json').read_text())} == {'a.jpg'}
    assert [p.name for p in (out / 'masks').glob('*.png')] == ['a.png']
    assert not list(out.rglob('.*'))
    said = infer(trained('seg'), f'{images}/b/*.jpg', out, formats=['csv'], skip_bad=True)
    assert '2 images' in said
    assert '1 bad' in said
    assert {r['image'] for r in csv.DictReader((out / 'results.csv').open())} == {'a.jpg', 'c.jpg'}


def test_without_an_image_the_results_of_before_stay(trained, images, tmp_path):
    out, formats = tmp_path / 'out', ['csv', 'coco', 'masks', 'pictures']
    (images / 'a.png').write_bytes(b'no image')
    with pytest.raises(DataError, match=r'a\.png cannot be read'):
        infer(trained('seg'), images / 'a.png', out, formats=formats)
    assert [path.name for path in out.rglob('*.*')] == ['classes.txt']
    infer(trained('seg'), images / 'b/c.jpg', out, formats=formats)
    before = {path: path.read_bytes() for path in out.rglob('*.*')}
    assert len(before) == 6
    said = infer(trained('seg'), images / 'a.png', out, formats=formats, skip_bad=True)
    assert said == '0 images (seg), 1 bad passed over: nothing was written'
    assert {path: path.read_bytes() for path in out.rglob('*.*')} == before


@pytest.mark.parametrize(
    ('do', 'error', 'words'),
    [
        (lambda c: c['meta'].pop('cfg'), ConfigError, 'no config .* --config'),
        (lambda c: c['state_dict'].pop('head.fc.bias'), WeightsError, r'missing: head\.fc\.bias'),
        (lambda c: swap(c, "'mmpretrain.LinearClsHead'", "'os.system'"), ConfigError, 'os.system'),
        (
            lambda c: swap(c, "imports=['vitmm'", "imports=['vitmm', 'no_such_heads'"),
            ConfigError,
            'no_such_heads',
        ),
        (
            lambda c: swap(c, "'mmpretrain.LinearClsHead'", "'mmpretrain.LinearClsHead', oops=1"),
            ConfigError,
            'oops',
        ),
        (lambda c: swap(c, 'crop_size=64', 'crop_size=open(1)'), ConfigError, 'not plain'),
    ],
    ids=['no config', 'weights', 'code', 'custom import', 'argument', 'call'],
)
def test_bad_checkpoints(do, error, words, trained, tmp_path):
    file = change(trained('cls'), tmp_path / 'bad.pth', do)
    with pytest.raises(error, match=words):
        Predictor(file)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(inputs='/nowhere.jpg'), 'no file or folder /nowhere.jpg'),
        (dict(inputs='/nowhere/*.jpg'), r'no file fits /nowhere/\*.jpg'),
        (dict(inputs='http://a/b.jpg'), r'http://a/b\.jpg\. Download it first'),
        (dict(formats=['picture']), 'pictures'),
        (dict(formats=['coco']), 'not of cls'),
        (dict(formats=['masks']), 'gives none'),
        (dict(device='cuda:99'), 'cuda:99'),
        (dict(batch_size=0), '--batch-size'),
        (dict(checkpoint='/nowhere.pth'), '/nowhere.pth does not exist'),
        (dict(options={'model.head.num_classes.x': 1}), 'does not fit'),
    ],
    ids=lambda v: None if isinstance(v, dict) else v[:12],
)
def test_bad_arguments(settings, words, trained, tiny_shapes, tmp_path):
    usual = dict(checkpoint=trained('cls'), inputs=tiny_shapes / 'JPEGImages')
    with pytest.raises(VitmmError, match=words):
        infer(out=tmp_path / 'out', **{**usual, **settings})
    assert not list(tmp_path.rglob('results*'))


def test_a_folder_without_images(trained, tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty/notes.txt').write_text('no image')
    with pytest.raises(DataError, match='empty holds no image'):
        infer(trained('cls'), tmp_path / 'empty', tmp_path / 'out')
    with pytest.raises(
        DataError, match=r'notes.txt is no image: give what it lists, \$\(cat .*txt'
    ):
        infer(trained('cls'), tmp_path / 'empty/notes.txt', tmp_path / 'out')
