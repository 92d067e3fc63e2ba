"""Raw predictions in a file that is whole or not there."""

import os
from pathlib import Path

from mmengine.evaluator import DumpResults as StockDumpResults
from mmengine.fileio import dump
from mmengine.logging import print_log


class DumpResults(StockDumpResults):
    """MMEngine's DumpResults, which writes beside the file's place and moves it into it."""

    def compute_metrics(self, results: list) -> dict:
        """Write the predictions of all images; there are no figures."""
        path = Path(self.out_file_path)
        scratch = path.with_name(f'.{os.getpid()}.{path.name}')
        try:
            dump(results, scratch)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        print_log(f'Results have been saved to {path}.', logger='current')
        return {}
