"""COCO metrics: vitmm's beside mmdet's, whole, on the same random detections.

python benchmarks/evaluation.py [--images 5000] [--detections 100] [--masks] [--device cpu]

From what a model predicted for each image to the figures, of boxes, or with --masks of boxes and of
masks of 480x640, ellipses in the boxes. The goal: at least 8 times as fast, with the same figures
(1e-6).
"""

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sides import print_row

CLASSES, TRUTHS = 80, 7  # as in COCO
SIZE = (480, 640)


def main() -> None:
    parser = argparse.ArgumentParser(description='Time COCO metrics.')
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--detections', type=int, default=100, help='of each image')
    parser.add_argument('--masks', action='store_true', help='measure masks, too')
    parser.add_argument('--device', default='cpu', help='where masks are predicted')
    args = parser.parse_args()

    from faster_coco_eval import COCOeval_faster

    from vitmm.evaluation.coco_metric import CocoMetric, coco_metric

    stats = []
    for kind in (coco_metric.COCOeval, COCOeval_faster):  # mmdet rounds them to three digits

        def summarize(self, plain=kind.summarize):
            plain(self)
            stats.append(np.array(self.stats[:12]))

        kind.summarize = summarize
    what = ['bbox', 'segm'] if args.masks else ['bbox']
    truth, samples = make(args.images, args.detections, args.masks)
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'truth.json')
        file.write_text(json.dumps(truth))
        for kind in (coco_metric.CocoMetric, CocoMetric):
            with contextlib.redirect_stdout(io.StringIO()):
                metric = kind(str(file), what)
                metric.dataset_meta = dict(classes=[one['name'] for one in truth['categories']])
                taken.append(measure(metric, samples, args.masks, args.device))
    theirs, ours = np.split(np.array(stats), 2)
    rows = [
        ('mmdet.CocoMetric', taken[0], [f'{one[0]:.6f}' for one in theirs]),
        ('vitmm.CocoMetric', taken[1], [f'{one[0]:.6f}' for one in ours]),
        ('ratio', taken[0] / taken[1], [''] * len(what)),
    ]
    print(f'{args.images} images with {args.detections} detections each\n')
    heads = ['', 'CPU, s', 'wall, s', 'of these kept in the loop, CPU, s']
    print_row(heads + [f'mAP, {kind}' for kind in what])
    print_row(['---'] + ['---:'] * (len(heads) - 1 + len(what)))
    for name, spent, scores in rows:
        print_row([name, *(f'{value:.1f}' for value in spent), *scores])
    print(f'\nlargest difference of the {ours.size} figures: {abs(ours - theirs).max():.1g}')


def measure(metric: Any, samples: list[dict], masks: bool, device: str) -> np.ndarray:
    """Seconds of CPU time, of wall time, and of CPU time before the last image is predicted."""
    import torch

    kept = np.zeros(2)
    for sample in samples:
        if masks:
            found = sample['pred_instances']
            drawn = torch.from_numpy(ellipses(found['bboxes'].numpy())).to(device)
            sample = {**sample, 'pred_instances': {**found, 'masks': drawn}}
        kept += timed(lambda sample=sample: metric.process({}, [sample]))
    whole = kept + timed(lambda: metric.evaluate(len(samples)))
    return np.array([*whole, kept[0]])


def timed(step: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of CPU time and of wall time."""
    start = time.process_time(), time.perf_counter()
    step()
    return time.process_time() - start[0], time.perf_counter() - start[1]


def make(images: int, detections: int, masks: bool) -> tuple[dict, list[dict]]:
    """Random truth, and what a middling detector would say of it, data samples as dicts."""
    import torch

    from vitmm.evaluation.run_lengths import encode_masks

    random = np.random.default_rng(0)
    truth, found = [], []
    for image in range(1, images + 1):
        boxes = np.hstack(
            [random.uniform(0, 400, (TRUTHS, 2)), random.uniform(5, 200, (TRUTHS, 2))]
        )
        labels = random.integers(1, CLASSES + 1, TRUTHS)
        crowds = random.random(TRUTHS) < 0.02
        codes = [[]] * TRUTHS
        if masks:
            codes = encode_masks(ellipses(np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])))
        for box, label, crowd, code in zip(boxes, labels, crowds, codes, strict=True):
            truth.append(
                dict(
                    id=len(truth) + 1,
                    image_id=image,
                    category_id=int(label),
                    bbox=box.tolist(),
                    area=float(box[2] * box[3]),
                    iscrowd=int(crowd),
                    segmentation=code,
                )
            )
        which = random.integers(0, TRUTHS, detections)
        guessed = boxes[which] + random.normal(0, 15, (detections, 4))
        guessed[:, 2:] = guessed[:, 2:].clip(2)
        right = random.random(detections) < 0.6
        classes = np.where(right, labels[which], random.integers(1, CLASSES + 1, detections))
        guessed[:, 2:] += guessed[:, :2]
        predicted = dict(
            bboxes=torch.tensor(guessed, dtype=torch.float32),
            scores=torch.tensor(random.random(detections), dtype=torch.float32),
            labels=torch.tensor(classes - 1),
        )
        found.append(dict(img_id=image, ori_shape=SIZE, pred_instances=predicted))
    height, width = SIZE
    sizes = [dict(id=i + 1, width=width, height=height, file_name=f'{i}') for i in range(images)]
    categories = [dict(id=c + 1, name=f'class {c}') for c in range(CLASSES)]
    return dict(images=sizes, annotations=truth, categories=categories), found


def ellipses(boxes: np.ndarray) -> np.ndarray:
    """Masks (N, H, W) of ellipses in boxes (N, 4), left, top, right, bottom."""
    centers, radii = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    across, down = (
        ((np.arange(side) + 0.5 - centers[:, [i]]) / radii[:, [i]]).astype(np.float32) ** 2
        for i, side in ((0, SIZE[1]), (1, SIZE[0]))
    )
    return down[:, :, None] + across[:, None] < 1


if __name__ == '__main__':
    main()
