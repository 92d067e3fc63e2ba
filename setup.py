"""Packaging of vitmm: ranges here, the tested pins in requirements/lock.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (HERE / 'vitmm/__init__.py').read_text())[1]

setup(
    name='vitmm',
    version=VERSION,
    description="Any timm backbone under OpenMMLab's heads: classify, detect, segment, compare",
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['vitmm', 'vitmm.*']),
    package_data={'vitmm.apis.compare': ['page.html'], 'vitmm.apis.predictions': ['page.html']},
    python_requires='>=3.10,<3.14',
    install_requires=[
        'torch>=2.6',
        'torchvision>=0.21',
        'timm>=1.0.31',
        'mmengine>=0.10.7,<1.0',
        'mmdet>=3.3.0,<4.0',
        'mmsegmentation>=1.2.2,<2.0',
        'mmpretrain>=1.2.0,<2.0',
        'pycocotools>=2.0.8',
        'faster-coco-eval>=1.8',  # the same figures in a tenth of the time
        'numpy>=1.26',
        'orjson',  # annotations of COCO's size in a third of the time
        'setuptools<81',  # MMEngine imports pkg_resources
        'ftfy',  # mmsegmentation imports both, and does not ask for them
        'regex',
        'rich',  # lays out the text of configs; MMEngine has it, too
        'safetensors',
        'tensorboard',
        'tifffile',  # OpenCV drops bands of a TIFF without a word
        'tqdm',
    ],
    # mmcv is yours to choose, because installing one kind over the other breaks both: [lite] needs
    # no compiler; a compiled mmcv that is there already is used.
    extras_require={
        'lite': ['mmcv-lite>=2.0.0,<2.2.0'],
        'demo': ['gradio>=6'],  # tools/demo_app.py
        'export': ['onnx', 'onnxruntime', 'onnxscript'],  # tools/export.py to ONNX
        'lora': ['peft>=0.21'],  # and transformers with it: MMEngine then takes 3 s longer to start
        'lvis': ['lvis'],  # reads and measures LVIS; not needed for other data
        'tiff': ['imagecodecs'],  # LZW and other compressions of multi-band TIFFs
        'submitit': ['submitit'],  # tools/compare.py over Slurm
        'ray': ['ray'],  # tools/compare.py over a Ray cluster
        'dev': ['pytest', 'pytest-xdist', 'ruff', 'pre-commit'],
    },
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        *[f'Programming Language :: Python :: 3.{minor}' for minor in (10, 11, 12, 13)],
    ],
)
