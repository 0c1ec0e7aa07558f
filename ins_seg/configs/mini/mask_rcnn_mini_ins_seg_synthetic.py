# A small Mask R-CNN, trained on drawn scenes from the features of the small detector. To make its weights again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train ins_seg mask_rcnn_mini_ins_seg_synthetic --amp --channels-last --seed 0 --device cpu
#     bdd100k-models publish work_dirs/mask_rcnn_mini_ins_seg_synthetic/epoch_5.pth \
#         ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth --half
_base_ = [
    '../_base_/models/mask_rcnn_r50_fpn.py',
    '../_base_/datasets/ins_seg_bdd100k.py',
    '../../../det/configs/_base_/schedules/schedule_mini.py',
    '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        depth=18,
        base_channels=24,
        stem_channels=16,
        deep_stem=True,
        frozen_stages=-1,
        init_cfg=dict(type='Pretrained', checkpoint='det/weights/atss_mini_det_synthetic.pth', prefix='backbone.')),
    neck=dict(
        in_channels=[24, 48, 96, 192],
        start_level=1,
        add_extra_convs='on_output',
        out_channels=64,
        num_outs=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        init_cfg=dict(type='Pretrained', checkpoint='det/weights/atss_mini_det_synthetic.pth', prefix='neck.')),
    rpn_head=dict(
        in_channels=64, feat_channels=64, anchor_generator=dict(scales=[2.0, 3.2], strides=[8, 16, 32, 64])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64, featmap_strides=[8, 16, 32], finest_scale=40),
        bbox_head=dict(in_channels=64, fc_out_channels=96),
        mask_roi_extractor=dict(out_channels=64, featmap_strides=[8, 16, 32], finest_scale=160),
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64)),
    train_cfg=dict(
        rpn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=128))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200), rcnn=dict(max_per_img=100)))

train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        data_root='data/synthetic/',
        ann_file='labels/ins_seg/rles/ins_seg_train.json',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadInstanceLabels'),
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
train_cfg = dict(max_epochs=5, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=0.002))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=5, eta_min_ratio=0.01, convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
auto_scale_lr = dict(base_batch_size=8)
load_from = 'ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth'
