"""The embedded set for depth; written under data_root when it is not there."""

_base_ = './nyu.py'

data_root = 'data/rooms'
prepare_data = dict(type='vitmm.write_rooms', root='${data_root}')
eval_crop = None
crop_size = (128, 128)
