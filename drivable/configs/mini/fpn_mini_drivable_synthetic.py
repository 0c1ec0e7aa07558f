# A small Semantic FPN for drivable area, trained on drawn scenes from the features of the small
# Mask R-CNN. To make its weights again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train drivable fpn_mini_drivable_synthetic --amp --seed 0 --device cpu
#     bdd100k-models publish work_dirs/fpn_mini_drivable_synthetic/iter_1500.pth \
#         drivable/weights/fpn_mini_drivable_synthetic.pth --half
_base_ = [
    '../../../sem_seg/configs/_base_/models/fpn_mini.py',
    '../_base_/datasets/drivable_bdd100k_512x1024.py',
    '../../../sem_seg/configs/_base_/schedules/schedule_mini.py',
    '../../../sem_seg/configs/_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=3))

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadSemanticLabels', task='drivable'),
            dict(type='RandomResize', scale=(640, 360), ratio_range=(0.8, 1.25), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(256, 512)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='SegRescale', scale_factor=0.5),  # losses of whole pixels take longer than the network
            dict(type='PackSegInputs')
        ]))
val_dataloader = dict(
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
            dict(type='PackSegInputs')
        ]))
test_dataloader = dict(
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
            dict(type='PackSegInputs')
        ]))
train_cfg = dict(max_iters=1500, val_interval=1500)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=1500, eta_min_ratio=0.01)
]
auto_scale_lr = dict(base_batch_size=4)
load_from = 'drivable/weights/fpn_mini_drivable_synthetic.pth'
