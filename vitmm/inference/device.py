"""Where a model runs."""

import torch
from mmengine.device import get_device

from vitmm.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """The device of a name; ``'auto'`` is the GPU where there is one.

    Raises:
        ConfigError: it cannot be used here; the message has torch's reason.
    """
    try:
        device = torch.device(get_device() if name == 'auto' else name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [''])[0]
        raise ConfigError(f'--device {name} cannot be used here: {reason}') from error
    return device
