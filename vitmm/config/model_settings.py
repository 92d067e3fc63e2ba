"""What a model is built of."""

import copy
from collections.abc import Mapping
from typing import Any


def model_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a config's model, as MMEngine's Runner hands them to the registry.

    A data preprocessor may stand at the top of a config. mmdet changes what it builds of: this is
    a copy.
    """
    settings = copy.deepcopy(config['model'])
    if config.get('data_preprocessor') is not None:
        settings.setdefault('data_preprocessor', copy.deepcopy(config['data_preprocessor']))
    return settings
