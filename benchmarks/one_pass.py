"""Forward and backward passes of one backbone in a process of its own: peak memory and time.

python benchmarks/one_pass.py '{"model_name": "resnet50"}' 512 4
"""

import argparse
import json
import subprocess
import sys


def run(settings: dict, size: int, batch: int) -> dict:
    """Measure in a process of its own: a process's peak never falls."""
    command = [sys.executable, __file__, json.dumps(settings), str(size), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measure(settings: dict, size: int, batch: int) -> dict:
    """Peak memory above that of the model itself, in MiB; seconds of the second pass.

    Seconds are the process's own on a CPU (all threads together), and real ones on a GPU.
    """
    import resource
    import time

    import torch

    from vitmm.models import TimmBackbone

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    backbone = TimmBackbone(**settings).train().to(device)
    images = torch.randn(batch, 3, size, size, device=device)
    for parameter in backbone.parameters():
        parameter.grad = torch.ones_like(parameter)  # ones are written, zeros only promised

    def resident() -> float:
        if device == 'cuda':
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    clock = time.perf_counter if device == 'cuda' else time.process_time
    before = resident()
    for _ in range(2):
        start = clock()
        sum(m.float().mean() for m in backbone(images)).backward()
        if device == 'cuda':
            torch.cuda.synchronize()
        seconds = clock() - start
    return {'mib': resident() - before, 'seconds': seconds}


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('settings', type=json.loads, help='arguments of TimmBackbone, in JSON')
    parser.add_argument('size', type=int, help='pixels of an image')
    parser.add_argument('batch', type=int, help='images')
    print(json.dumps(measure(**vars(parser.parse_args()))))
