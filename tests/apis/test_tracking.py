"""A training as trackers record it, beside what its own log says."""

import json
import sys
from types import SimpleNamespace

import pytest
from support import CONFIGS, SMALL_CLASSIFIER

from vitmm.apis.train import train
from vitmm.config import trackers

CLS = CONFIGS / 'cls' / 'vit_linear.py'


def scalars(work_dir):
    (file,) = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_weights_and_biases_gets_what_the_log_has(tiny_options, tmp_path, monkeypatch):
    calls = []

    def record(name):
        return lambda *args, **kwargs: calls.append((name, args, kwargs))

    fake = SimpleNamespace(
        **{name: record(name) for name in ('init', 'define_metric', 'log', 'join')},
        config=SimpleNamespace(update=record('config')),
        run=SimpleNamespace(log_code=record('code')),
    )
    monkeypatch.setitem(sys.modules, 'wandb', fake)
    monkeypatch.setattr(trackers, 'find_spec', lambda name: 1)
    options = {**tiny_options, **SMALL_CLASSIFIER, 'trackers.wandb.project': 'birds'}
    train(CLS, work_dir=tmp_path / 'run', options=options)
    told = {name: (args, kwargs) for name, args, kwargs in calls}
    (folder,) = (tmp_path / 'run').glob('*/vis_data')
    assert told['init'] == ((), {'project': 'birds', 'name': 'run', 'dir': str(folder)})
    assert told['define_metric'][1] == {'name': '*', 'step_metric': 'iter'}
    assert told['config'][0][0]['model']['backbone']['model_name'] == 'test_resnet'
    logged = [args[0] for name, args, _ in calls if name == 'log']
    # The JSON log adds the step.
    assert logged == [
        {k: v for k, v in e.items() if k != 'step'} for e in scalars(tmp_path / 'run')
    ]
    assert calls[-1][0] == 'join'


def test_weights_and_biases_itself(tiny_options, tmp_path, monkeypatch):
    pytest.importorskip('wandb')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    options = {**tiny_options, **SMALL_CLASSIFIER, 'trackers.wandb.project': 'birds'}
    train(CLS, work_dir=tmp_path, options=options)
    (record,) = tmp_path.glob('*/vis_data/wandb/offline-run-*/*.wandb')
    content = record.read_bytes()
    assert b'accuracy/top1' in content and b'test_resnet' in content and b'birds' in content


def test_mlflow_itself(tiny_options, tmp_path, monkeypatch):
    mlflow = pytest.importorskip('mlflow')
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    monkeypatch.chdir(tmp_path)
    options = {**tiny_options, **SMALL_CLASSIFIER, 'trackers.mlflow.exp_name': 'birds'}
    options['custom_data'] = [dict(a=1), 2]  # MMEngine's flattening fails on it
    work_dir = tmp_path / 'runs' / 'one'
    train(CLS, work_dir=work_dir, options=options)
    assert [path.name for path in tmp_path.iterdir()] == ['runs']
    client = mlflow.MlflowClient(f'sqlite:///{work_dir}/mlflow.db')
    experiment = client.get_experiment_by_name('birds')
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == 'one' and run.info.status == 'FINISHED'
    assert run.data.params['model.backbone.model_name'] == 'test_resnet'
    assert run.data.params['custom_data.0.a'] == '1' and run.data.params['custom_data.1'] == '2'
    trained, *_, validated = scalars(work_dir)
    loss = client.get_metric_history(run.info.run_id, 'loss')
    assert [(m.step, m.value) for m in loss] == [(trained['step'], trained['loss'])]
    assert run.data.metrics['accuracy/top1'] == validated['accuracy/top1']
    names = {path.path for path in client.list_artifacts(run.info.run_id)}
    assert {'config.py', 'vit_linear.py'} <= names


def test_names_that_mlflow_refuses():
    from vitmm.engine.mlflow_backend import MLflowVisBackend

    backend = MLflowVisBackend('nowhere')
    config = {'a': {'b(c)': [1, {'d': None}]}, 'e': ({'f': 2},), 'g': [3, 4], 'h': {}}
    assert backend._flatten(config) == {
        'a.b_c_.0': 1,
        'a.b_c_.1.d': None,
        'e.0.f': 2,
        'g': [3, 4],
    }
    logged = []
    backend._mlflow = SimpleNamespace(log_metrics=lambda *args: logged.append(args))
    backend._env_initialized = True
    backend.add_scalars({'retrieval/Recall@1': 0.5, 'coco/fire hydrant_precision': 1.0}, 3)
    assert logged == [({'retrieval/Recall_1': 0.5, 'coco/fire hydrant_precision': 1.0}, 3)]
