# A small QDTrack, trained on drawn videos from the small Mask R-CNN. To make its weights again:
#     bdd100k-models data synth data/synthetic-videos --train-videos 600 --frames 4 --reach 20 --seed 0
#     bdd100k-models data synth data/synthetic-videos --val-videos 8 --frames 12 --reach 20 --seed 0 --force
#     bdd100k-models train mot qdtrack_mini_mot_synthetic --amp --channels-last --seed 0 --device cpu
#     bdd100k-models publish work_dirs/qdtrack_mini_mot_synthetic/epoch_3.pth \
#         mot/weights/qdtrack_mini_mot_synthetic.pth --half
_base_ = [
    '../_base_/models/qdtrack_frcnn_r50_fpn.py',
    '../_base_/datasets/mot_bdd100k.py',
    '../../../det/configs/_base_/schedules/schedule_mini.py',
    '../_base_/default_runtime.py'
]
model = dict(
    detector=dict(
        backbone=dict(
            depth=18,
            base_channels=24,
            stem_channels=16,
            deep_stem=True,
            frozen_stages=-1,
            norm_eval=True,
            init_cfg=None),
        neck=dict(
            in_channels=[24, 48, 96, 192],
            start_level=1,
            add_extra_convs='on_output',
            out_channels=64,
            num_outs=4,
            norm_cfg=dict(type='BN', requires_grad=True)),
        rpn_head=dict(
            in_channels=64,
            feat_channels=64,
            anchor_generator=dict(scales=[2.0, 3.2], strides=[8, 16, 32, 64])),
        roi_head=dict(
            bbox_roi_extractor=dict(out_channels=64, featmap_strides=[8, 16, 32], finest_scale=40),
            bbox_head=dict(in_channels=64, fc_out_channels=96)),
        train_cfg=dict(
            rpn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=128)),
            rpn_proposal=dict(nms_pre=500, max_per_img=200),
            rcnn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=128))),
        test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100), rcnn=dict(max_per_img=50)),
        init_cfg=dict(type='Pretrained', checkpoint='ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth')),
    track_head=dict(
        roi_extractor=dict(out_channels=64, featmap_strides=[8, 16, 32], finest_scale=40),
        embed_head=dict(
            num_convs=2,
            in_channels=64,
            conv_out_channels=32,
            fc_out_channels=96,
            embed_channels=64,
            norm_cfg=dict(type='GN', num_groups=8)),
        train_cfg=dict(sampler=dict(num=64))))

train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        data_root='data/synthetic-videos/',
        still=None,
        pipeline=[
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadTrackAnnotations'),
                    dict(type='Resize', scale=(640, 360), keep_ratio=True),
                    dict(type='RandomFlip', prob=0.5)
                ]),
            dict(type='PackTrackInputs')
        ]))
val_dataloader = dict(
    dataset=dict(
        data_root='data/synthetic-videos/',
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(640, 360), keep_ratio=True)
                ]),
            dict(type='PackTrackInputs')
        ]))
test_dataloader = dict(
    dataset=dict(
        data_root='data/synthetic-videos/',
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(640, 360), keep_ratio=True)
                ]),
            dict(type='PackTrackInputs')
        ]))
train_cfg = dict(max_epochs=3, val_interval=3)
optim_wrapper = dict(optimizer=dict(lr=0.002))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=3, eta_min_ratio=0.01, convert_to_iter_based=True)
]
default_hooks = dict(logger=dict(interval=10))
auto_scale_lr = dict(enable=False, base_batch_size=8)
load_from = 'mot/weights/qdtrack_mini_mot_synthetic.pth'
