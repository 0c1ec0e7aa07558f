# 36 epochs of SGD for a total batch of 16 images
_base_ = ['./schedule_1x.py']
train_cfg = dict(max_epochs=36)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=36, milestones=[24, 33], gamma=0.1)
]
