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
    for name in ('multiprocessing.api', 'agent.server.api'):
        logging.getLogger(f'torch.distributed.elastic.{name}').setLevel(logging.CRITICAL)
    with TemporaryDirectory() as folder, TemporaryDirectory() as logs:
        os.environ['VITMM_SAID'] = folder  # vitmm.apis.cli
        sys.argv.insert(1, f'--log-dir={logs}')  # torch leaves its own behind
        try:
            main()
        except SignalException as error:  # Ctrl-C, or a time limit: all of them have got it
            return 128 + error.sigval
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            said = None
            if failure.exitcode < 0:
                name = signal.Signals(-failure.exitcode).name
                why = ' (often because memory has run out)' if name == 'SIGKILL' else ''
                said = f'process {rank} was ended by {name}{why}, and the others with it.'
                if any(word.endswith('train.py') for word in sys.argv):
                    said += " The work dir's checkpoints are whole: --resume goes on from the last."
            elif not os.listdir(folder):
                said = (
                    f'process {rank} ended with status {failure.exitcode}, and the others with it.'
                )
            if said:
                print(f'error: {said}', file=sys.stderr)
            return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    return 0


if __name__ == '__main__':
    sys.exit(run())
