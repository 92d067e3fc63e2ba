"""The machine and the versions that the figures of a comparison belong to."""

import contextlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    'vitmm',
    'torch',
    'torchvision',
    'timm',
    'mmengine',
    'mmcv',
    'mmcv-lite',
    'mmdet',
    'mmsegmentation',
    'mmpretrain',
)


def describe() -> dict[str, Any]:
    """Processor, cores, GPU (None without one), system, Python and the versions of packages."""
    import torch

    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        processor = next(line for line in lines if line.startswith('model name')).split(': ')[1]
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return {
        'processor': processor,
        'cores': cores,
        'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        'system': f'{platform.system()} {platform.machine()}',
        'python': platform.python_version(),
        'versions': versions,
    }
