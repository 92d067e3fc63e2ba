"""A classifier of several layers on the backbone's own pooled features."""

_base_ = './linear.py'

hidden_channels = (1024,)  # of each layer before the last: depth and width
dropout = 0.0  # behind each of them

model = dict(
    head=dict(
        type='mmpretrain.StackedLinearClsHead',
        mid_channels='${hidden_channels}',
        dropout_rate='${dropout}',
        act_cfg=dict(type='GELU'),
    )
)
