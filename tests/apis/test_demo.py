"""The page: what it tells is what the predictor finds, over HTTP and in a real browser."""

import csv
import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from browsing import Page, browser
from mmseg.visualization import SegLocalVisualizer
from PIL import Image
from support import ROOT, hear_ctrl_c, run_tool

from vitmm.apis.demo import demo
from vitmm.apis.demo_results import Results
from vitmm.apis.found_models import example_images, find_models
from vitmm.apis.inference import Predictor
from vitmm.apis.publish import publish
from vitmm.compat.checkpoint import CheckpointError
from vitmm.errors import ConfigError

client = pytest.importorskip('gradio_client', reason='no gradio: pip install gradio')


@pytest.fixture(scope='module')
def models(trained, tmp_path_factory):
    """Checkpoints by task, and a broken one."""
    broken = tmp_path_factory.mktemp('models') / 'broken<b>.pth'
    broken.write_bytes(trained('cls').read_bytes()[:1000])
    return {**{task: str(trained(task)) for task in ('det', 'cls', 'seg')}, 'broken': str(broken)}


@pytest.fixture(scope='module')
def server(models, tmp_path_factory):
    """The URL of the page, from a process that can reach nothing but this machine."""
    folder = tmp_path_factory.mktemp('server')
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    nowhere = dict.fromkeys(('HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'), 'http://127.0.0.1:9')
    command = [sys.executable, str(ROOT / 'tools/demo_app.py'), *models.values()]
    with (folder / 'errors.txt').open('w') as errors:
        process = subprocess.Popen(
            [*command, '--port', str(port), '--device', 'cpu'],
            stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT,
            env={**os.environ, **nowhere, 'TMPDIR': str(folder)},
            preexec_fn=hear_ctrl_c,
        )  # fmt: skip
    said = process.stdout.readline()
    assert f'4 models at http://127.0.0.1:{port} ' in said, (folder / 'errors.txt').read_text()
    yield f'http://127.0.0.1:{port}/'
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert 'Traceback' not in (folder / 'errors.txt').read_text()
    assert not list(folder.glob('vitmm-demo-*'))  # what was uploaded is gone


@pytest.fixture(scope='module')
def ask(server, tmp_path_factory):
    """A function: what the page answers, as a dict."""
    folder = tmp_path_factory.mktemp('downloads')
    page = client.Client(server, verbose=False, download_files=str(folder))

    def ask(checkpoint, image, score=0.3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr('tempfile.tempdir', str(folder))  # where the client leaves folders
            answer = page.predict(checkpoint, client.handle_file(image), score, api_name='/predict')
        picture, summary, table, *files, _ = answer
        return dict(picture=picture, summary=summary, table=table['value'], files=[
            Path(file['value']) if file['visible'] else None for file in files
        ])  # fmt: skip

    return ask


@pytest.fixture
def image(tiny_shapes):
    return next((tiny_shapes / 'JPEGImages').glob('val*.jpg'))


def test_detections_are_those_of_the_predictor(ask, models, image):
    ((_, sample),) = Predictor(models['det'], device='cpu')(image)
    found = sample.pred_instances
    score = found.scores.median().item()
    answer = ask(models['det'], image, score)
    shown = found[found.scores > score]
    assert 0 < len(shown) < len(found)
    assert f'{len(shown)} of {len(found)} detections' in answer['summary']
    order = shown.scores.argsort(descending=True, stable=True)
    names = Predictor(models['det'], device='cpu').classes
    assert answer['table'] == {
        'headers': ['class', 'score', 'x1', 'y1', 'x2', 'y2'],
        'data': [
            [names[shown.labels[i]], pytest.approx(shown.scores[i].item(), abs=6e-4)]
            + [pytest.approx(side, abs=0.51) for side in shown.bboxes[i].tolist()]
            for i in order.tolist()
        ],
        'metadata': None,
    }
    table, coco, masks = answer['files']
    results = json.loads(coco.read_text())  # every detection, whatever is shown
    assert [one['score'] for one in results] == found.scores.tolist()
    corners = [[x, y, x + w, y + h] for x, y, w, h in (one['bbox'] for one in results)]
    torch.testing.assert_close(torch.tensor(corners), found.bboxes, rtol=1e-5, atol=1e-4)
    assert len(list(csv.DictReader(table.open()))) == len(shown)
    assert np.array(Image.open(masks)).max() <= len(shown)
    height, width = cv2.imread(str(image)).shape[:2]
    assert Image.open(answer['picture']).size == (width, height)
    assert not ask(models['det'], image, 1)['table']['data']  # the slider


def test_classes_and_segments(ask, models, image):
    predictor = Predictor(models['cls'], device='cpu')
    ((_, sample),) = predictor(image)
    expected = sorted(zip(predictor.classes, sample.pred_score.tolist(), strict=True),
                      key=lambda pair: -pair[1])  # fmt: skip
    answer = ask(models['cls'], image)
    assert answer['table']['data'] == [
        [name, pytest.approx(score, abs=6e-4)] for name, score in expected[:10]
    ]
    assert answer['files'][1:] == [None, None]

    predictor = Predictor(models['seg'], device='cpu')
    ((_, sample),) = predictor(image)
    segments = sample.pred_sem_seg.data[0].numpy()
    answer = ask(models['seg'], image)
    pixels = {name: number for name, number, _ in answer['table']['data']}
    assert pixels == {
        name: (segments == label).sum()
        for label, name in enumerate(predictor.classes)
        if (segments == label).any()
    }
    assert sum(share for *_, share in answer['table']['data']) == pytest.approx(100, abs=0.5)
    assert np.array_equal(np.array(Image.open(answer['files'][2])), segments)


def test_what_is_broken_is_told_and_the_server_goes_on(ask, models, image, tmp_path):
    bad = tmp_path / 'bad&.jpg'
    bad.write_text('no image')
    with pytest.raises(Exception, match=r'broken&lt;b&gt;\.pth cannot be read'):
        ask(models['broken'], image)
    with pytest.raises(
        Exception, match=r'^bad&?(amp;)?\.jpg cannot be read \(OpenCV cannot decode it\)\.$'
    ):
        ask(models['cls'], bad)
    with pytest.raises(Exception, match=r'README\.md is no model of this page'):
        ask(str(ROOT / 'README.md'), image)
    assert ask(models['cls'], image)['table']['data']


SHOWN = (
    "(i => i && i.complete && i.naturalWidth && i.src)(document.querySelector('#result img')) || ''"
)
CELLS = "[...document.querySelectorAll('[role=gridcell]')].map(cell => cell.innerText.trim())"


def choose(page, name):
    """Pick the model whose name contains ``name``."""
    option = f'options.find(option => option.innerText.includes({json.dumps(name)}))'
    option = f"(options => {option})([...document.querySelectorAll('[role=option]')])"
    box = "document.querySelector('[role=combobox]')"
    end = time.monotonic() + 30
    # A list that opens while the page still loads its models, or closes the last one, is gone.
    while name not in page.run(f'{box}.value'):
        page.click(option if page.run(f'!!{option}') else box)
        time.sleep(0.3)
        assert time.monotonic() < end


@pytest.mark.skipif(not browser(), reason='no Chromium or Chrome on this machine, and no '
                    'BROWSER_BINARY that names one')  # fmt: skip
def test_in_a_real_browser(server, models, image, tmp_path):
    with Page(tmp_path / 'profile') as page:
        page.call('Page.navigate', url=server)
        page.wait("!!document.querySelector('[aria-dropeffect]')")
        page.wait("document.querySelectorAll('.gallery img').length >= 4")  # of the test set
        choose(page, 'small_seg')
        page.drop("document.querySelector('[aria-dropeffect]')", image)
        first = page.wait(SHOWN)
        page.wait(f"{CELLS}.includes('background')")
        buttons = "[...document.querySelectorAll('button')].map(b => b.innerText).join()"
        page.wait(f"{buttons}.includes('Maps')")
        sliders = "document.querySelectorAll('input[type=range]').length"
        assert page.run(sliders) == 0  # of detections alone

        choose(page, 'small_det')
        page.wait(f"({SHOWN}) != '{first}' && {sliders} == 1")
        choose(page, 'broken')
        page.wait("document.body.innerText.includes('broken<b>.pth cannot be read')")
        page.wait(f"!({buttons}).includes('CSV') && {CELLS}.length == 0")  # nothing old is left
        choose(page, 'small_cls')
        page.wait(f"({buttons}).includes('CSV') && {CELLS}.length > 0")
        page.resize(400)
        page.wait('innerWidth == 400')
        assert page.run('document.documentElement.scrollWidth') <= 400
    outside = [url for url in page.requests if not url.startswith((server, 'data:', 'blob:'))]
    assert len(page.requests) > 10 and outside == [] and page.faults == []


def test_models_and_their_order(trained, tmp_path):
    old, new = tmp_path / 'old', tmp_path / 'a/new'
    for number, path in enumerate([
        old / 'best_x_epoch_1.pth', new / 'best_y_epoch_1.pth', new / 'epoch_1.pth',
        new / 'epoch_2.pth',
    ]):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (number, number))
    (new / 'recipe.py').write_text("model = dict(type='A')\n")
    (new / 'script.py').write_text('import torch\n')
    publish(trained('cls'), tmp_path / 'published')
    found = find_models([old / 'best_x_epoch_1.pth', tmp_path])
    names = [re.sub(r'vit_linear_\d+', 'vit_linear', model.name) for model in found]
    assert names == [  # MMEngine numbers the runs of a process
        str(old / 'best_x_epoch_1.pth'),
        'published (vit_linear)',
        'a/new/best_y_epoch_1.pth (recipe)',
        'a/new/epoch_2.pth (recipe)',
        'a/new/epoch_1.pth (recipe)',
    ]
    for model in (found[1], *find_models([trained('det')])):
        images = example_images(model, 3)
        assert len(images) == 3 and all('val' in path for path in images)
    assert example_images(found[0], 3) == []


def test_few_models_stay_loaded_and_a_new_file_is_a_new_model(trained, image, tmp_path):
    file = tmp_path / 'a.pth'
    file.write_bytes(trained('cls').read_bytes())
    results = Results(tmp_path / 'out', 'cpu', keep=2)
    for checkpoint in (trained('cls'), trained('seg'), file, trained('seg')):
        results(checkpoint, image)
        assert len(results.models) <= 2
    assert not any('infer' in name for name in SegLocalVisualizer._instance_dict)  # nor pictures
    kept = {Path(path): predictor for (path, _), (predictor, _) in results.models.items()}
    assert set(kept) == {trained('seg'), file}
    assert results(file, image).rows and results._model(results.last[0][0])[0] is kept[file]
    file.write_bytes(trained('seg').read_bytes())
    assert results(file, image).task == 'seg'


def test_depth(trained, image, tmp_path):
    ((_, sample),) = Predictor(trained('depth'), device='cpu')(image)
    metres = sample.pred_depth_map.data
    found = Results(tmp_path / 'out', 'cpu')(trained('depth'), image)
    assert found.columns == ['nearest (m)', 'mean (m)', 'farthest (m)']
    expected = [metres.min().item(), metres.mean().item(), metres.max().item()]
    assert found.rows == [pytest.approx(expected, abs=6e-3)]
    shown = np.array(Image.open(found.files['maps'])) / 1000
    assert np.abs(shown - metres[0].numpy()).max() < 6e-4
    assert set(found.files) == {'csv', 'maps'} and found.picture.is_file()


def test_errors_that_nobody_foresaw(capsys):
    said = Results.explain(KeyError('<img src=x>'), 'a.jpg')
    assert html.unescape(said).startswith("KeyError: '<img src=x>'") and '<' not in said
    assert 'KeyError' in capsys.readouterr().err
    assert 'memory' in Results.explain(torch.OutOfMemoryError('CUDA out of memory.'), 'a.jpg')


def test_bad_beginnings(models, tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'environ', dict(os.environ))
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f'--port {port} .*[Aa]ddress already in use'):
            demo([models['cls']], port=port)
    with pytest.raises(ConfigError, match='--port 70000'):
        demo([models['cls']], port=70000)
    with pytest.raises(CheckpointError, match='nowhere does not exist'):
        demo([tmp_path / 'nowhere'], port=port)
    with pytest.raises(CheckpointError, match=r'no checkpoint .* and no published folder'):
        demo([tmp_path], port=port)
    with pytest.raises(ConfigError, match='cuda:99'):
        demo([models['cls']], port=port, device='cuda:99')
    monkeypatch.setitem(sys.modules, 'gradio', None)
    with pytest.raises(ConfigError, match=r"pip install 'gradio>=6'"):
        demo([models['cls']], port=port)


def test_help_answers():
    done = run_tool('demo_app.py', '--help')
    assert done.returncode == 0 and '--port' in done.stdout
