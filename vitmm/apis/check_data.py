"""Read all data of a recipe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitmm.apis.depth_range import refuse_unmeasured_depth
from vitmm.apis.small_images import note_of_small_images
from vitmm.config import load_config, resolve
from vitmm.config.paths import missing_explained
from vitmm.datasets.absent_classes import note_of_absent, note_of_unlearned
from vitmm.datasets.errors import DataError
from vitmm.datasets.inspection import Report, inspect


def check_data(
    config: str | Path, data: str | None = None, options: Mapping[str, Any] | None = None
) -> list[Report]:
    """Open every file of the data that a config trains, validates and tests on.

    Args:
        config: a config file.
        data: name or path of another data set for the recipe.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        A report for each different data set; its ``faults`` name what is bad.

    Raises:
        VitmmError: the config cannot be read, or the data does not even tell its classes.
    """
    loaded = load_config(config, data, options)
    with missing_explained(loaded):
        cfg = resolve(loaded)
    reports, seen = [], []
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = cfg[loader].dataset if cfg.get(loader) else None
        if dataset is None or dataset in seen:
            continue
        seen.append(dataset)
        name = loader.removesuffix('_dataloader')
        reports.append(inspect(dataset, cfg.get('default_scope'), name))
        if not reports[-1].faults:
            try:
                refuse_unmeasured_depth(cfg, loader)
            except DataError as error:
                reports[-1].faults.append(str(error))
        report = reports[-1]
        notes = [note_of_absent(report, dataset, cfg.get('default_scope'))]
        if name == 'train':
            notes.append(note_of_small_images(cfg, options, [*report.sizes.elements()]))
        elif not report.faults:
            notes.append(note_of_unlearned(cfg, [name]))
        report.notes += filter(None, notes)
    return reports
