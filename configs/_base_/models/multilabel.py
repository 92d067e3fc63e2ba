"""Any number of classes an image: a linear layer, and a yes or no for each class."""

_base_ = './linear.py'

model = dict(
    head=dict(
        type='mmpretrain.MultiLabelLinearClsHead',
        loss=dict(_delete_=True, type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
        thr=0.5,  # a class is there from this score on
    )
)
