"""UPerNet on BEiT-L, fine-tuned on ImageNet-22k before: 160k steps of two batches each.

Source: https://arxiv.org/abs/2106.08254; mmseg configs/beit, beit-large_upernet_8xb1-amp-160k
Target: mIoU 56.33
Note: mmseg's schedule ends at half of its 320k iterations, this one at their end as the authors';
one image a GPU needs several GPUs, for the head normalises over the batch; train with --amp, as
published
"""

_base_ = './upernet_beit-base-p16_8xb2-160k_ade20k-640x640.py'

head_channels = 1024
warmup_iters = 3000
model = dict(
    backbone=dict(
        model_name='beit_large_patch16_224.in22k_ft_in22k',
        out_indices=(7, 11, 15, 23),
        drop_path_rate=0.2,
    )
)
train_dataloader = dict(batch_size=1)
train_cfg = dict(max_iters=320000)
auto_scale_lr = dict(base_batch_size=8)  # of one iteration
optim_wrapper = dict(
    accumulative_counts=2,
    optimizer=dict(lr=2e-5),
    paramwise_cfg=dict(layer_decay=0.95),
)
