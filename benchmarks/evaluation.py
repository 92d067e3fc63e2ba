"""COCO metrics of boxes: faster-coco-eval beside pycocotools, on the same random detections.

python benchmarks/evaluation.py [--images 5000] [--detections 100]

The goal: at least 8 times as fast, with the same figures (1e-6).
"""

import argparse
import contextlib
import copy
import io
import time

CLASSES, TRUTHS = 80, 7  # as in COCO


def main() -> None:
    parser = argparse.ArgumentParser(description='Time COCO metrics.')
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--detections', type=int, default=100, help='of each image')
    args = parser.parse_args()

    import numpy as np
    from faster_coco_eval import COCOeval_faster

    import vitmm  # noqa: F401  (mmdet imports without compiled mmcv)
    from mmdet.datasets.api_wrappers import COCO, COCOeval  # isort: skip

    truth, detections = make(args.images, args.detections)
    found = {}
    for kind in (COCOeval, COCOeval_faster):
        with contextlib.redirect_stdout(io.StringIO()):
            api = COCO()
            api.dataset = copy.deepcopy(truth)
            api.createIndex()
            api.img_ann_map, api.cat_img_map = api.imgToAnns, api.catToImgs
            evaluation = kind(api, api.loadRes(copy.deepcopy(detections)), 'bbox')
            start = time.process_time(), time.perf_counter()
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            taken = time.process_time() - start[0], time.perf_counter() - start[1]
        found[kind.__name__] = *taken, np.array(evaluation.stats[:12])
    (cpu, wall, stats), (fast_cpu, fast_wall, fast_stats) = found.values()
    print(f'{args.images} images with {args.detections} detections each\n')
    print('| | CPU, s | wall, s | mAP |\n| --- | ---: | ---: | ---: |')
    print(f'| pycocotools | {cpu:.1f} | {wall:.1f} | {stats[0]:.6f} |')
    print(f'| faster-coco-eval | {fast_cpu:.1f} | {fast_wall:.1f} | {fast_stats[0]:.6f} |')
    print(f'| ratio | {cpu / fast_cpu:.1f} | {wall / fast_wall:.1f} | |')
    print(f'\nlargest difference of the 12 figures: {abs(stats - fast_stats).max():.1g}')


def make(images: int, detections: int) -> tuple[dict, list[dict]]:
    """Random truth, and what a middling detector would say of it."""
    import numpy as np

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
        found += [
            dict(image_id=image, category_id=int(c), bbox=b.tolist(), score=float(s))
            for b, c, s in zip(guessed, classes, random.random(detections), strict=True)
        ]
    sizes = [dict(id=i + 1, width=640, height=480, file_name=f'{i}') for i in range(images)]
    categories = [dict(id=c + 1, name=f'class {c}') for c in range(CLASSES)]
    return dict(images=sizes, annotations=truth, categories=categories), found


if __name__ == '__main__':
    main()
