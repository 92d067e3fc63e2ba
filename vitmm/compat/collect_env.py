"""MMEngine's description of the machine, without setuptools.

It imports ``distutils`` for an error that only Windows raises. Since Python 3.12 (and wherever
setuptools is installed, which gives its own) that takes 0.4 s of every start. Can go when MMEngine
imports it where it is needed.
"""

import sys
import sysconfig
from functools import wraps
from types import ModuleType
from typing import Any

from mmengine.runner import runner as mmengine_runner


def install() -> None:
    """Let the Runner describe the machine faster; harmless when repeated."""
    plain = mmengine_runner.collect_env
    if hasattr(plain, '__wrapped__') or not sysconfig.get_config_var('CC'):  # Windows has none
        return
    errors = ModuleType('distutils.errors')
    errors.DistutilsPlatformError = OSError
    distutils = ModuleType('distutils')
    distutils.errors = errors

    @wraps(plain)
    def collect_env() -> dict[str, Any]:
        if 'distutils' in sys.modules:
            return plain()
        # Not patch.dict, which would forget what else is imported meanwhile.
        sys.modules.update({'distutils': distutils, 'distutils.errors': errors})
        try:
            return plain()
        finally:
            del sys.modules['distutils'], sys.modules['distutils.errors']

    mmengine_runner.collect_env = collect_env
