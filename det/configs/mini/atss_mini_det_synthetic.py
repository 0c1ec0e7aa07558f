# A small ATSS, trained from scratch on drawn scenes; its weights ship with the project. To make them again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train det atss_mini_det_synthetic --amp --channels-last --seed 0 --device cpu
#     bdd100k-models publish work_dirs/atss_mini_det_synthetic/epoch_10.pth \
#         det/weights/atss_mini_det_synthetic.pth --half
_base_ = [
    '../_base_/datasets/det_bdd100k.py',
    '../_base_/schedules/schedule_mini.py',
    '../_base_/default_runtime.py'
]

model = dict(
    type='ATSS',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=24,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        stem_channels=16,
        deep_stem=True),
    neck=dict(
        type='FPN',
        in_channels=[24, 48, 96, 192],
        start_level=1,
        add_extra_convs='on_output',
        out_channels=64,
        num_outs=4,
        norm_cfg=dict(type='BN', requires_grad=True)),
    bbox_head=dict(
        type='ATSSHead',
        num_classes=10,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        pred_kernel_size=1,
        norm_cfg=dict(type='GN', num_groups=8, requires_grad=True),
        anchor_generator=dict(
            type='AnchorGenerator', ratios=[1.0], octave_base_scale=4, scales_per_octave=1, strides=[8, 16, 32, 64]),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)),
    train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(
        nms_pre=1000, min_bbox_size=-1, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.6), max_per_img=100))

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='RandomResize', scale=(640, 360), ratio_range=(0.8, 1.25), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs')
        ]))
val_dataloader = dict(
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
        ]))
test_dataloader = dict(
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
        ]))
train_cfg = dict(max_epochs=10, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=0.004))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=10, eta_min_ratio=0.01, convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2))
auto_scale_lr = dict(enable=False, base_batch_size=8)
load_from = 'det/weights/atss_mini_det_synthetic.pth'
