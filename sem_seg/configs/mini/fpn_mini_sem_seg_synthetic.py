# A small Semantic FPN, trained on drawn scenes from the features of the small Mask R-CNN. To make its weights again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train sem_seg fpn_mini_sem_seg_synthetic --amp --seed 0 --device cpu
#     bdd100k-models publish work_dirs/fpn_mini_sem_seg_synthetic/iter_3000.pth \
#         sem_seg/weights/fpn_mini_sem_seg_synthetic.pth --half
_base_ = [
    '../_base_/models/fpn_mini.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_mini.py',
    '../_base_/default_runtime.py'
]
# rare classes count for more: (1 % / share of pixels) ** 0.4, at least 0.4 and at most 4
model = dict(
    decode_head=dict(
        loss_decode=dict(
            class_weight=[
                0.4, 0.76, 0.4, 1.14, 1.47, 1.12, 4.0, 2.34, 0.46, 1.0, 0.4, 1.87, 1.44, 0.44, 0.62, 0.63, 0.93, 1.66, 1.71
            ])))

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadSemanticLabels', task='sem_seg'),
            dict(type='RandomResize', scale=(640, 360), ratio_range=(0.8, 1.25), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(256, 512)),
            dict(type='RandomFlip', prob=0.5),
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
train_cfg = dict(max_iters=3000, val_interval=3000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=3000, eta_min_ratio=0.01)
]
auto_scale_lr = dict(base_batch_size=4)
load_from = 'sem_seg/weights/fpn_mini_sem_seg_synthetic.pth'
