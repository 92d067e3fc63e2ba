"""AdamW as MAE has it, without validation: what pretraining is worth shows in the other tasks."""

_base_ = './adamw.py'

val_cfg = test_cfg = None
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.95)))
