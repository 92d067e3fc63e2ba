"""Raw predictions in a file that is whole or not there."""

from mmengine.evaluator import DumpResults as StockDumpResults
from mmengine.fileio import dump
from mmengine.logging import print_log

from vitmm.whole_files import write_whole


class DumpResults(StockDumpResults):
    """MMEngine's DumpResults, which writes beside the file's place and moves it into it."""

    def compute_metrics(self, results: list) -> dict:
        """Write the predictions of all images; there are no figures."""
        write_whole(self.out_file_path, dump(results, file_format='pkl'))
        print_log(f'Results have been saved to {self.out_file_path}.', logger='current')
        return {}
