"""COCO metrics of boxes: vitmm's beside mmdet's, whole, on the same random detections.

python benchmarks/evaluation.py [--images 5000] [--detections 100]

From what a model predicted for each image to the figures. The goal: at least 8 times as fast, with
the same figures (1e-6).
"""

import argparse
import contextlib
import io
import json
import tempfile
import time
from pathlib import Path

CLASSES, TRUTHS = 80, 7  # as in COCO


def main() -> None:
    parser = argparse.ArgumentParser(description='Time COCO metrics.')
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--detections', type=int, default=100, help='of each image')
    args = parser.parse_args()

    import numpy as np
    from faster_coco_eval import COCOeval_faster

    from vitmm.evaluation.coco_metric import CocoMetric, coco_metric

    stats = []
    for kind in (coco_metric.COCOeval, COCOeval_faster):  # mmdet rounds them to three digits

        def summarize(self, plain=kind.summarize):
            plain(self)
            stats.append(np.array(self.stats[:12]))

        kind.summarize = summarize
    truth, samples = make(args.images, args.detections)
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'truth.json')
        file.write_text(json.dumps(truth))
        for kind in (coco_metric.CocoMetric, CocoMetric):
            with contextlib.redirect_stdout(io.StringIO()):
                metric = kind(str(file), 'bbox')
                metric.dataset_meta = dict(classes=[one['name'] for one in truth['categories']])
                start = time.process_time(), time.perf_counter()
                metric.process({}, samples)
                metric.evaluate(args.images)
            taken.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    (cpu, wall), (fast_cpu, fast_wall) = taken
    print(f'{args.images} images with {args.detections} detections each\n')
    print('| | CPU, s | wall, s | mAP |\n| --- | ---: | ---: | ---: |')
    print(f'| mmdet.CocoMetric | {cpu:.1f} | {wall:.1f} | {stats[0][0]:.6f} |')
    print(f'| vitmm.CocoMetric | {fast_cpu:.1f} | {fast_wall:.1f} | {stats[1][0]:.6f} |')
    print(f'| ratio | {cpu / fast_cpu:.1f} | {wall / fast_wall:.1f} | |')
    print(f'\nlargest difference of the 12 figures: {abs(stats[0] - stats[1]).max():.1g}')


def make(images: int, detections: int) -> tuple[dict, list[dict]]:
    """Random truth, and what a middling detector would say of it, data samples as dicts."""
    import numpy as np
    import torch

    random = np.random.default_rng(0)
    truth, found = [], []
    for image in range(1, images + 1):
        boxes = np.hstack(
            [random.uniform(0, 400, (TRUTHS, 2)), random.uniform(5, 200, (TRUTHS, 2))]
        )
        labels = random.integers(1, CLASSES + 1, TRUTHS)
        truth += [
            dict(
                id=len(truth) + i + 1,
                image_id=image,
                category_id=int(label),
                bbox=box.tolist(),
                area=float(box[2] * box[3]),
                iscrowd=int(random.random() < 0.02),
            )
            for i, (box, label) in enumerate(zip(boxes, labels, strict=True))
        ]
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
        found.append(dict(img_id=image, ori_shape=(480, 640), pred_instances=predicted))
    sizes = [dict(id=i + 1, width=640, height=480, file_name=f'{i}') for i in range(images)]
    categories = [dict(id=c + 1, name=f'class {c}') for c in range(CLASSES)]
    return dict(images=sizes, annotations=truth, categories=categories), found


if __name__ == '__main__':
    main()
