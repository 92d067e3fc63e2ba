"""MMEngine's MLflow backend on today's MLflow."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.utils import scandir
from mmengine.visualization import MLflowVisBackend as MMEngineMLflowVisBackend

from vitmm.registry import VISBACKENDS

_REFUSED = re.compile(r'[^/\w.\- ]')  # in the name of a metric or a parameter


@VISBACKENDS.register_module()
class MLflowVisBackend(MMEngineMLflowVisBackend):
    """MMEngine's MLflowVisBackend, which writes where today's MLflow can.

    MMEngine's keeps a store of files for each run, which MLflow 3 refuses, and looks past
    ``MLFLOW_TRACKING_URI``. Here that variable counts, and without it the run lies in
    ``<work dir>/mlflow.db``, its files in ``<work dir>/mlartifacts``. What MLflow refuses in names
    becomes ``_``. Takes the same arguments.
    """

    def _init_env(self) -> None:
        self._tracking_uri = self._tracking_uri or os.environ.get('MLFLOW_TRACKING_URI')
        if not self._tracking_uri:
            work_dir = Path(self._save_dir).resolve().parents[1]  # of <work dir>/<time>/vis_data
            self._tracking_uri = f'sqlite:///{work_dir / "mlflow.db"}'
            self._artifact_location = self._artifact_location or (work_dir / 'mlartifacts').as_uri()
        super()._init_env()

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs) -> None:
        """Record a number under a name that MLflow takes."""
        super().add_scalar(_REFUSED.sub('_', name), value, step, **kwargs)

    def add_scalars(self, scalar_dict: dict, step: int = 0, file_path=None, **kwargs) -> None:
        """Record numbers under names that MLflow takes."""
        named = {_REFUSED.sub('_', name): value for name, value in scalar_dict.items()}
        super().add_scalars(named, step, file_path, **kwargs)

    def close(self) -> None:
        """Upload this run's logs and config, and end it; MMEngine's takes earlier runs' as well."""
        if not hasattr(self, '_mlflow'):
            return
        work_dir, run = Path(self._save_dir).parents[1], Path(self._save_dir).parent
        for folder, deep in ((work_dir, False), (run, True)):
            for name in scandir(str(folder), self._artifact_suffix, deep):
                path = folder / name
                place = path.parent.relative_to(work_dir).as_posix()
                self._mlflow.log_artifact(str(path), None if place == '.' else place)
        self._mlflow.end_run()

    def _flatten(self, d: Mapping, parent_key: str = '', sep: str = '.') -> dict[str, Any]:
        """Name the leaves of a config by their path; lists may mix dicts and plain values."""
        items: dict[str, Any] = {}
        for key, value in d.items():
            name = _REFUSED.sub('_', f'{parent_key}{sep}{key}' if parent_key else str(key))
            if isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
                value = dict(enumerate(value))
            if isinstance(value, Mapping):
                items |= self._flatten(value, name, sep)
            else:
                items[name] = value
        return items
