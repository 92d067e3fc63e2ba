"""RepPoints' assigner where the points are on a GPU."""

import torch
from mmdet.models.task_modules.assigners import PointAssigner
from mmengine.structures import InstanceData
from pretended_gpu import OnGPU, PretendedGPU, needs_no_driver


@needs_no_driver
def test_points_are_assigned_on_a_gpu():
    points = torch.rand(40, 3) * 64
    points[:, 2] = 8
    corners = torch.rand(5, 2) * 32
    boxes, labels = torch.cat([corners, corners + 24], dim=1), torch.arange(5)
    assigner, found = PointAssigner(), []
    for device in ('cpu', 'cuda'):
        with PretendedGPU():
            truth = InstanceData(bboxes=boxes, labels=labels).to(device)
            result = assigner.assign(InstanceData(priors=points).to(device), truth)
            assert isinstance(result.gt_inds, OnGPU) == (device == 'cuda')
            found.append((result.gt_inds.cpu(), result.labels.cpu()))
    for one, two in zip(*found, strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(two))
    assert (found[0][0] > 0).any()
