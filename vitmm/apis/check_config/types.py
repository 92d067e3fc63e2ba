"""Types that no registry knows: training would end where they are built."""

import re

from vitmm.apis.check_config.case import Case, as_remedy
from vitmm.apis.check_config.keys import FREE, NAMES
from vitmm.apis.check_config.toplevel import READ
from vitmm.apis.unknown_types import unknown_types

# Built by functions of mmcv and mmdet that look elsewhere, too.
_ELSEWHERE = re.compile(r'.*(roi_layer|policies\.\d+.*|layer_cfg)')


def check_types(case: Case) -> None:
    """Every ``type`` of the resolved config, or of what was loaded if it does not resolve."""
    for key, what, near in unknown_types(case.said, case.scope):
        first, dotted = str(key[0]), '.'.join(map(str, key[:-1]))
        reached = first in READ or (not case.config and first.endswith('_pipeline'))
        if not reached or NAMES & set(key) or FREE.fullmatch(dotted):
            continue
        if not _ELSEWHERE.fullmatch(dotted):
            hint = near or 'mend the name, or import its module with custom_imports'
            case.say('types', key, what, as_remedy(hint))
