"""Several processes that end badly, as the one who has started them sees it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[2] / 'tools/_torchrun.py'
SAY = """
import os
from vitmm.apis.cli import run
from vitmm.errors import VitmmError

def fail():
    raise VitmmError('no such thing.')

run(fail)
"""
DIE = """
import os, signal, time
if os.environ['RANK'] == '1':
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60)
"""


END = """
import os, time
os._exit(3) if os.environ['RANK'] == '1' else time.sleep(60)
"""


@pytest.mark.parametrize(
    ('script', 'status', 'said'),
    [
        (SAY, 1, 'error: no such thing.\n'),
        (
            DIE,
            137,
            'error: process 1 was ended by SIGKILL (often because memory has run out), and ',
        ),
        (END, 3, 'error: process 1 ended with status 3, and the others with it.\n'),
    ],
    ids=['error', 'killed', 'ended'],
)
def test_it_is_said_once_and_without_torchs_report(script, status, said, tmp_path):
    file, scratch = tmp_path / 'script.py', tmp_path / 'scratch'
    file.write_text(script)
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, LAUNCHER, '--standalone', '--nproc_per_node', '2', file],
        capture_output=True, text=True, timeout=200, env={**os.environ, 'TMPDIR': str(scratch)},
    )  # fmt: skip
    assert done.returncode == status
    assert done.stderr.count('error: ') == done.stderr.count(said) == 1
    assert 'Traceback' not in done.stderr and 'ChildFailedError' not in done.stderr
    assert not [*scratch.iterdir()]
