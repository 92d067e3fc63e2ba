"""The benchmarks import one another as the commands find them: beside one another."""

import sys

from support import ROOT

sys.path.insert(0, str(ROOT / 'benchmarks'))
