# 80,000 iterations of SGD for a total batch of 16 images
_base_ = ['./schedule_40k.py']
train_cfg = dict(max_iters=80000, val_interval=90000)
param_scheduler = [dict(type='PolyLR', eta_min=0.0001, power=0.9, by_epoch=False, begin=0, end=80000)]
default_hooks = dict(checkpoint=dict(interval=8000))
