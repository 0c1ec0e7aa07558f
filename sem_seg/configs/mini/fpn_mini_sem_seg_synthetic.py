# A small Semantic FPN that decides at half the size of its input, trained on drawn scenes from the features of the small
# Mask R-CNN. To make its weights again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train sem_seg fpn_mini_sem_seg_synthetic --amp --channels-last --seed 0 --device cpu
#     bdd100k-models publish work_dirs/fpn_mini_sem_seg_synthetic/iter_9600.pth \
#         sem_seg/weights/fpn_mini_sem_seg_synthetic.pth --half
_base_ = [
    '../_base_/models/ladder_mini.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_mini.py',
    '../_base_/default_runtime.py'
]
# what is thin or rare weighs more: walls, poles, people, riders, motorcycles, bicycles
model = dict(
    decode_head=dict(
        loss_decode=dict(class_weight=[
            1.0, 1.0, 1.0, 1.5, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 1.0, 1.0, 1.0, 1.0, 1.5, 1.5
        ])))

train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadSemanticLabels', task='sem_seg'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
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
train_cfg = dict(max_iters=9600, val_interval=9600)
optim_wrapper = dict(optimizer=dict(lr=0.004, weight_decay=0.02))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=9600, eta_min_ratio=0.01)
]
auto_scale_lr = dict(base_batch_size=2)
load_from = 'sem_seg/weights/fpn_mini_sem_seg_synthetic.pth'
