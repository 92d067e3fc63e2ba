"""What tests of predicting share: results as numbers, changed checkpoints, videos."""

import cv2
import torch


def config_of(checkpoint):
    return next(checkpoint.parent.glob('*.py'))


def told(sample):
    """The numbers of a result, a data sample or what testing dumps of it."""
    sample = sample if isinstance(sample, dict) else sample.to_dict()
    if 'pred_instances' in sample:
        found = sample['pred_instances']
        return [found[key] for key in ('bboxes', 'scores', 'labels')], found.get('masks')
    for key in ('pred_sem_seg', 'pred_depth_map'):
        if key in sample:
            return [sample[key]['data']], None
    return [sample['pred_score'], sample['pred_label']], None


def same(found, expected, rtol=1e-5, atol=1e-5):
    (found, masks), (expected, true_masks) = told(found), told(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)
    if masks is not None:
        masks, true_masks = (torch.as_tensor(one) for one in (masks, true_masks))
        assert masks.dtype == true_masks.dtype
        levels = (true_masks.int() > 1).any()  # of soft masks, 0 to 255, rounding takes the next
        assert ((masks.int() - true_masks.int()).abs() <= levels).all()


def frames(path):
    capture = cv2.VideoCapture(str(path))
    while True:
        there, image = capture.read()
        if not there:
            return
        yield image


def change(checkpoint, file, do):
    content = torch.load(checkpoint)
    do(content)
    torch.save(content, file)
    return file


def swap(content, old, new):
    assert old in content['meta']['cfg']
    content['meta']['cfg'] = content['meta']['cfg'].replace(old, new)
