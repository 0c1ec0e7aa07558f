# A small Panoptic FPN whose semantic part decides at half the size of its input, trained on drawn scenes from the small
# Mask R-CNN and the small Semantic FPN. To make its weights again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train pan_seg panoptic_fpn_mini_pan_seg_synthetic --amp --channels-last --seed 0 --device cpu
#     bdd100k-models publish work_dirs/panoptic_fpn_mini_pan_seg_synthetic/epoch_3.pth \
#         pan_seg/weights/panoptic_fpn_mini_pan_seg_synthetic.pth --half
_base_ = [
    '../_base_/models/panoptic_fpn_r50_fpn.py',
    '../_base_/datasets/pan_seg_bdd100k.py',
    '../../../det/configs/_base_/schedules/schedule_mini.py',
    '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        type='mmseg.StemResNet',
        depth=18,
        base_channels=24,
        stem_channels=16,
        frozen_stages=-1,
        norm_eval=False,
        # the last stage, which the small Semantic FPN has not, stays as the first of these leaves it
        init_cfg=[
            dict(
                type='Pretrained',
                checkpoint='ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth',
                prefix='backbone.'),
            dict(type='Pretrained', checkpoint='sem_seg/weights/fpn_mini_sem_seg_synthetic.pth', prefix='backbone.')
        ]),
    neck=dict(
        type='FinerFPN',
        kept=4,
        in_channels=[16, 24, 48, 96, 192],
        start_level=2,
        add_extra_convs='on_output',
        out_channels=64,
        num_outs=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        init_cfg=dict(
            type='Pretrained', checkpoint='ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth', prefix='neck.')),
    rpn_head=dict(
        type='LeadingRPNHead',
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[2.0, 3.2], strides=[8, 16, 32, 64]),
        init_cfg=dict(
            type='Pretrained', checkpoint='ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth', prefix='rpn_head.')),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64, featmap_strides=[8, 16, 32], finest_scale=40),
        bbox_head=dict(in_channels=64, fc_out_channels=96),
        mask_roi_extractor=dict(
            type='FinerRoIExtractor',
            fine_below=96,
            out_channels=64,
            featmap_strides=[8, 16, 32, 64, 4],
            finest_scale=160),
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64),
        init_cfg=dict(
            type='Pretrained', checkpoint='ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth', prefix='roi_head.')),
    semantic_head=dict(
        _delete_=True,
        type='PanopticLadderHead',
        num_things_classes=10,
        num_stuff_classes=30,
        decoder=dict(
            in_channels=[16, 24, 48, 96],
            rungs=[48, 64, 64],
            norm_cfg=dict(type='BN', requires_grad=True),
            align_corners=False,
            init_cfg=dict(
                type='Pretrained', checkpoint='sem_seg/weights/fpn_mini_sem_seg_synthetic.pth', prefix='decode_head.')),
        loss_seg=dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=1.0)),
    train_cfg=dict(
        rpn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=128))),
    test_cfg=dict(
        rpn=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(score_thr=0.5, max_per_img=100),
        panoptic=dict(stuff_area_limit=64)),
    init_cfg=None)

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadPanopticLabels'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
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
train_cfg = dict(max_epochs=3, val_interval=3)
optim_wrapper = dict(
    optimizer=dict(lr=0.002), paramwise_cfg=dict(custom_keys=dict(semantic_head=dict(lr_mult=2.0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=3, eta_min_ratio=0.01, convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
auto_scale_lr = dict(base_batch_size=4)
load_from = 'pan_seg/weights/panoptic_fpn_mini_pan_seg_synthetic.pth'
