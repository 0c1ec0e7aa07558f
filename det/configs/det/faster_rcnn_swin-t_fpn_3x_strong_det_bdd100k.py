_base_ = [
    '../_base_/models/faster_rcnn_swin-t_fpn.py',
    '../_base_/datasets/det_bdd100k_strong_b16.py',
    '../_base_/schedules/schedule_3x_swin.py',
    '../_base_/default_runtime.py'
]
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='ModeSwitchHook', num_last_epochs=9, single_scale=True, priority=48)
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_swin-t_fpn_3x_strong_det_bdd100k.pth'
