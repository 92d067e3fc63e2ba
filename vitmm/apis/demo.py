"""A local web page: an image and a model in, what the model finds out."""

import html
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from vitmm.apis.demo_results import Results
from vitmm.apis.found_models import FoundModel, example_images, find_models
from vitmm.errors import ConfigError, VitmmError
from vitmm.inference.device import pick_device

FONTS = dict(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
# Small pictures are enlarged.
CSS = """
#result .image-frame { width: 100%; }
#result img { width: 100%; height: auto; max-height: 75vh; object-fit: contain !important; }
"""
KEPT = dict(csv='Table (CSV)', json='COCO (JSON)', maps='Maps (PNG)')


def demo(
    checkpoints: Sequence[str | Path] = ('work_dirs',),
    *,
    host: str = '127.0.0.1',
    port: int = 7860,
    device: str = 'auto',
) -> None:
    """Serve the page until the process is interrupted.

    It needs no network and tells nobody of its use. What is uploaded and made lies in a temporary
    folder that goes when the server ends.

    Args:
        checkpoints: what :func:`vitmm.apis.found_models.find_models` takes.
        host: the address to listen at; ``'0.0.0.0'`` lets the whole network in.
        port: 1 to 65535.
        device: ``'auto'``, ``'cpu'``, ``'cuda'``, …

    Raises:
        VitmmError: no model is found, the device or the port cannot be used, gradio is missing.
    """
    _check_port(host, port)
    pick_device(device)
    find = partial(find_models, checkpoints)
    models = find()
    with TemporaryDirectory(prefix='vitmm-demo-') as scratch:
        gradio = _import_gradio(Path(scratch) / 'page', host)
        page = build_page(gradio, find, Results(Path(scratch) / 'results', device))
        page.launch(
            server_name=host,
            server_port=port,
            share=False,
            ssr_mode=False,
            pwa=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            css=CSS,
            theme=gradio.themes.Default(**FONTS),  # nothing that a browser would have to fetch
        )
        count = f'{len(models)} model{"s" * (len(models) > 1)}'
        print(f'{count} at http://{host}:{port} (Ctrl-C ends it)', flush=True)
        page.block_thread()


def _check_port(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise ConfigError(
            f'--port {port} of --host {host} cannot be listened at ({reason}). Where another '
            'program is there already, take another --port.'
        ) from error


def _import_gradio(folder: Path, host: str) -> ModuleType:
    """Gradio, told to keep to this machine and to ``folder``."""
    local = os.environ.get('no_proxy') or os.environ.get('NO_PROXY') or ''
    local = ','.join([*filter(None, [local]), host, 'localhost'])
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED='False',
        HF_HUB_DISABLE_TELEMETRY='1',
        GRADIO_TEMP_DIR=str(folder),
        no_proxy=local,  # it asks its own server whether it is there
        NO_PROXY=local,
    )
    try:
        import gradio
    except ImportError as error:
        raise ConfigError("the page needs gradio: pip install 'gradio>=6'.") from error
    return gradio


def build_page(gr: ModuleType, find: Callable[[], list[FoundModel]], results: Results) -> Any:
    """The page as gradio's ``Blocks``, not served yet.

    Args:
        gr: gradio.
        find: a function: the models to choose from.
        results: what predicts.
    """

    def nothing() -> tuple:
        return '', *[gr.update(visible=False)] * (1 + len(KEPT))

    def predict(checkpoint: str, image: str | None, score: float) -> tuple:
        if image is None:
            return None, *nothing(), gr.skip()
        try:
            if checkpoint not in dict(_choices(find())).values():
                raise ConfigError(f'{checkpoint} is no model of this page.')
            found = results(checkpoint, image, score)
        except Exception as error:
            message = results.explain(error, image)
            raise gr.Error(message, duration=20, print_exception=False) from error
        table = dict(headers=found.columns, data=found.rows)
        return (
            str(found.picture),
            found.summary,
            gr.update(value=table, visible=bool(found.rows)),
            *(gr.update(value=found.files.get(k), visible=k in found.files) for k in KEPT),
            gr.update(visible=found.task == 'det'),
        )

    models = find()
    examples = _examples(models)
    with gr.Blocks(title='vitmm', analytics_enabled=False, delete_cache=(600, 3600)) as page:
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                model = gr.Dropdown(_choices(models), label='Model', filterable=len(models) > 9)
                model.preprocess = str  # gradio knows of no models that came later
                image = gr.Image(type='filepath', label='Image', height=280, buttons=[])
                # The file as it is: gradio would decode it, and fail in its own words.
                image.preprocess = lambda payload: payload and payload.path
                if examples:
                    gr.Examples(examples, image, label='Images of the test set')
                score = gr.Slider(
                    0, 1, 0.3, step=0.01, label='Score', info='Detections above it are shown'
                )
            with gr.Column(scale=3, min_width=320):
                picture = gr.Image(
                    label='Result',
                    show_label=False,
                    interactive=False,
                    elem_id='result',
                    buttons=['download', 'fullscreen'],
                )
                summary = gr.Markdown()
                table = gr.Dataframe(show_label=False, interactive=False, visible=False, buttons=[])
                with gr.Row():
                    kept = [
                        gr.DownloadButton(label, size='sm', min_width=100, visible=False)
                        for label in KEPT.values()
                    ]
        run = gr.on(
            [image.change, model.change, score.release],
            predict,
            [model, image, score],
            [picture, summary, table, *kept, score],
            api_name='predict',
            trigger_mode='always_last',
            show_progress_on=picture,
        )
        # What was found before is not left beside an error.
        run.failure(nothing, None, [summary, table, *kept], api_visibility='private')
        # Checkpoints come while the server runs.
        page.load(partial(_update, gr, find), None, model, api_visibility='private')
    return page


def _update(gr: ModuleType, find: Callable[[], list[FoundModel]]) -> Any:
    try:
        return gr.update(choices=_choices(find()))
    except VitmmError as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error


def _choices(models: list[FoundModel]) -> list[tuple[str, str]]:
    return [(model.name, str(model.path)) for model in models]


def _examples(models: list[FoundModel]) -> list[str]:
    """Images of the test sets of the first models, each once."""
    found = [path for model in models[:4] for path in example_images(model, 4)]
    return list(dict.fromkeys(found))[:8]
