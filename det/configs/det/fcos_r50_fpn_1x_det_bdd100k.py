_base_ = [
    '../_base_/models/fcos_r50_caffe_fpn.py',
    '../_base_/datasets/det_bdd100k_float.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
param_scheduler = [
    dict(type='ConstantLR', factor=0.3333333333333333, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1)
]
optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0, norm_decay_mult=1.0),
    clip_grad=dict(max_norm=35, norm_type=2))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/fcos_r50_fpn_1x_det_bdd100k.pth'
