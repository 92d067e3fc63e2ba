"""torch.distributed.run, which keeps to itself what the processes have said already.

Of several processes that fail with the same message the first one prints it, and one that a signal
ended is told of, instead of torch's report, which is a page of its own source.
"""

import logging
import os
import signal
import sys
from tempfile import TemporaryDirectory

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main


def run() -> int:
    """Start the processes; returns the exit status."""
    logging.getLogger('torch.distributed.elastic').setLevel(logging.CRITICAL)
    with TemporaryDirectory() as folder:
        os.environ['VITMM_SAID'] = folder  # vitmm.apis.cli
        try:
            main()
        except SignalException as error:  # Ctrl-C, or a time limit: all of them have got it
            return 128 + error.sigval
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode < 0:
                name = signal.Signals(-failure.exitcode).name
                why = ' (often because memory has run out)' if name == 'SIGKILL' else ''
                print(
                    f'error: process {rank} was ended by {name}{why}, and the others with it. The '
                    "work dir's checkpoints are whole: --resume goes on from the last.",
                    file=sys.stderr,
                )
            return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    return 0


if __name__ == '__main__':
    sys.exit(run())
