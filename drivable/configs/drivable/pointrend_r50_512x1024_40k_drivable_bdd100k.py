_base_ = [
    '../../../sem_seg/configs/_base_/models/pointrend_r50.py',
    '../_base_/datasets/drivable_bdd100k_512x1024.py',
    '../../../sem_seg/configs/_base_/schedules/schedule_40k.py',
    '../../../sem_seg/configs/_base_/default_runtime.py'
]
model = dict(
    decode_head=[
        dict(
            type='FPNHead',
            in_channels=[256, 256, 256, 256],
            in_index=[0, 1, 2, 3],
            feature_strides=[4, 8, 16, 32],
            channels=128,
            dropout_ratio=-1,
            num_classes=3,
            norm_cfg=dict(type='SyncBN', requires_grad=True),
            align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
        dict(
            type='PointHead',
            in_channels=[256],
            in_index=[0],
            channels=256,
            num_fcs=3,
            coarse_pred_each_layer=True,
            dropout_ratio=-1,
            num_classes=3,
            align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0))
    ])
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=200),
    dict(type='PolyLR', eta_min=0.0001, power=0.9, by_epoch=False, begin=0, end=40000)
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/drivable/models/pointrend_r50_512x1024_40k_drivable_bdd100k.pth'
