# A small PCAN without its refinement, trained on drawn videos from the small QDTrack. To make its weights again:
#     bdd100k-models data synth data/synthetic-videos --train-videos 600 --frames 4 --reach 20 --seed 0
#     bdd100k-models data synth data/synthetic-videos --val-videos 8 --frames 12 --reach 20 --seed 0 --force
#     bdd100k-models train mots segtrack_mini_mots_synthetic --amp --channels-last --seed 0 --device cpu
#     bdd100k-models publish work_dirs/segtrack_mini_mots_synthetic/iter_1200.pth \
#         mots/weights/segtrack_mini_mots_synthetic.pth --half
_base_ = [
    '../_base_/models/pcan_frcnn_r50_fpn.py',
    '../_base_/datasets/mots_bdd100k.py',
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
            frozen_stages=2,
            norm_eval=True,
            init_cfg=None),
        neck=dict(
            type='FinerFPN',
            in_channels=[24, 48, 96, 192],
            start_level=1,
            add_extra_convs='on_output',
            out_channels=64,
            num_outs=4,
            norm_cfg=dict(type='BN', requires_grad=True)),
        rpn_head=dict(
            type='LeadingRPNHead',
            in_channels=64,
            feat_channels=64,
            anchor_generator=dict(scales=[2.0, 3.2], strides=[8, 16, 32, 64])),
        roi_head=dict(
            bbox_roi_extractor=dict(out_channels=64, featmap_strides=[8, 16, 32], finest_scale=40),
            bbox_head=dict(in_channels=64, fc_out_channels=96),
            mask_roi_extractor=dict(
                type='FinerRoIExtractor',
                fine_below=96,
                out_channels=64,
                featmap_strides=[8, 16, 32, 64, 4],
                finest_scale=160),
            mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64)),
        train_cfg=dict(
            rpn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=128)),
            rpn_proposal=dict(nms_pre=500, max_per_img=200),
            rcnn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=128))),
        test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100), rcnn=dict(max_per_img=50)),
        # masks, which the small QDTrack has not, are predicted as the first of these does
        init_cfg=[
            dict(type='Pretrained', checkpoint='ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth'),
            dict(type='Pretrained', checkpoint='mot/weights/qdtrack_mini_mot_synthetic.pth', prefix='detector.')
        ]),
    track_head=dict(
        roi_extractor=dict(out_channels=64, featmap_strides=[8, 16, 32], finest_scale=40),
        embed_head=dict(
            num_convs=2,
            in_channels=64,
            conv_out_channels=32,
            fc_out_channels=96,
            embed_channels=64,
            norm_cfg=dict(type='GN', num_groups=8)),
        train_cfg=dict(sampler=dict(num=64)),
        init_cfg=dict(
            type='Pretrained', checkpoint='mot/weights/qdtrack_mini_mot_synthetic.pth', prefix='track_head.')),
    num_levels=4,
    refine_head=None,
    stage='segtrack')

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root='data/synthetic-videos/',
        ann_file='labels/seg_track_20/rles/train',
        still=None,
        pipeline=[
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadTrackAnnotations', with_mask=True),
                    dict(type='Resize', scale=(640, 360), keep_ratio=True),
                    dict(type='RandomFlip', prob=0.5)
                ]),
            dict(type='PackTrackInputs')
        ]))
val_dataloader = dict(
    dataset=dict(
        data_root='data/synthetic-videos/',
        ann_file='labels/seg_track_20/rles/val',
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
        ann_file='labels/seg_track_20/rles/val',
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(640, 360), keep_ratio=True)
                ]),
            dict(type='PackTrackInputs')
        ]))
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=1200, val_interval=1200)
# the mask head meets finer features than those it learnt from: it and they have more to learn than the rest
optim_wrapper = dict(
    optimizer=dict(lr=0.002), paramwise_cfg=dict(custom_keys=dict(mask_head=dict(lr_mult=2), fine_=dict(lr_mult=2))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=60),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=1200, eta_min_ratio=0.01)
]
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False), checkpoint=dict(by_epoch=False, interval=400))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(base_batch_size=4)
load_from = 'mots/weights/segtrack_mini_mots_synthetic.pth'
