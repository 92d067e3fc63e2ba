"""Forward and backward passes of one backbone in a process of its own: peak memory and time.

python benchmarks/one_pass.py '{"model_name": "resnet50"}' 512 4 [--live]
"""

import argparse
import json
import subprocess
import sys


def run(settings: dict, size: int, batch: int, precision: str = 'fp32', live: bool = False) -> dict:
    """Measure in a process of its own: a process's peak never falls."""
    command = [sys.executable, __file__, json.dumps(settings), str(size), str(batch), precision]
    command += ['--live'] if live else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measure(
    settings: dict, size: int, batch: int, precision: str = 'fp32', live: bool = False
) -> dict:
    """Peak memory above that of the model itself, in MiB; seconds of the second pass.

    Memory and seconds are the process's own on a CPU (all threads together). On a GPU, memory is
    that of its tensors, and seconds are real ones, the median of passes 4 to 13. With ``live``
    memory alone, that of the tensors of the first pass: the same in every run.
    """
    import statistics

    import live_bytes
    import torch
    from sides import now, peak_mib

    from vitmm.models import TimmBackbone

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    backbone = TimmBackbone(**settings).train().to(device)
    images = torch.randn(batch, 3, size, size, device=device)
    for parameter in backbone.parameters():
        parameter.grad = torch.ones_like(parameter)  # ones are written, zeros only promised

    def both() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=precision == 'bf16'):
            loss = sum(m.float().mean() for m in backbone(images))
        loss.backward()

    if live:
        return {'mib': live_bytes.peak(both, device) / 2**20}

    warm, passes = (3, 13) if device == 'cuda' else (1, 2)
    before, times = peak_mib(device), []
    for _ in range(passes):
        start = now(device)
        both()
        times.append(now(device) - start)
    return {'mib': peak_mib(device) - before, 'seconds': statistics.median(times[warm:])}


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('settings', type=json.loads, help='arguments of TimmBackbone, in JSON')
    parser.add_argument('size', type=int, help='pixels of an image')
    parser.add_argument('batch', type=int, help='images')
    parser.add_argument('precision', choices=('fp32', 'bf16'), nargs='?', default='fp32')
    parser.add_argument('--live', action='store_true', help='the bytes of tensors instead')
    print(json.dumps(measure(**vars(parser.parse_args()))))
