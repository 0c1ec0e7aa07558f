# 48 epochs of SGD
_base_ = ['./schedule_5x.py']
train_cfg = dict(max_epochs=48)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, end=48, milestones=[24, 36], gamma=0.1)]
