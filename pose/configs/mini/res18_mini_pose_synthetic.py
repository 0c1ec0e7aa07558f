# A small pose model, trained on drawn people from the features of the small detector. To make its weights again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train pose res18_mini_pose_synthetic --amp --seed 0 --device cpu
#     bdd100k-models publish work_dirs/res18_mini_pose_synthetic/epoch_15.pth \
#         pose/weights/res18_mini_pose_synthetic.pth --half
_base_ = [
    '../_base_/models/res50.py',
    '../_base_/datasets/pose_256x192.py',
    '../../../det/configs/_base_/schedules/schedule_mini.py',
    '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        depth=18,
        num_stages=3,
        strides=[1, 2, 2],
        dilations=[1, 1, 1],
        out_indices=[2],
        base_channels=24,
        stem_channels=16,
        deep_stem=True,
        init_cfg=dict(type='Pretrained', checkpoint='det/weights/atss_mini_det_synthetic.pth', prefix='backbone.')),
    head=dict(in_channels=96, deconv_out_channels=[64, 64], deconv_kernel_sizes=[4, 4]))

train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='PersonBoxCenterScale', padding=1.25),
            dict(type='RandomCenterShift', factor=0.1, prob=0.3),
            dict(type='RandomFlip', prob=0.5),
            dict(type='RandomScaleRotation', scale_factor=0.25, rotate_factor=15, rotate_prob=0.5),
            dict(type='TopdownAffine', input_size=(192, 256)),
            dict(
                type='GenerateTarget',
                encoder=dict(
                    type='PublishedMSRAHeatmap',
                    input_size=(192, 256),
                    heatmap_size=(48, 64),
                    sigma=2,
                    unbiased=False,
                    blur_kernel_size=11)),
            dict(type='PackPoseInputs')
        ]))
val_dataloader = dict(dataset=dict(data_root='data/synthetic/', bbox_file=None))
test_dataloader = dict(dataset=dict(data_root='data/synthetic/', bbox_file=None))
train_cfg = dict(max_epochs=15, val_interval=15)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=15, eta_min_ratio=0.01, convert_to_iter_based=True)
]
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=1, max_keep_ckpts=2))
auto_scale_lr = dict(base_batch_size=32)
load_from = 'pose/weights/res18_mini_pose_synthetic.pth'
