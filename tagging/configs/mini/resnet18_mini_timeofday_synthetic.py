# A small ResNet-18 for timeofday, trained on drawn scenes from the features of the small detector.
# To make its weights again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train tagging resnet18_mini_timeofday_synthetic --amp --seed 0 --device cpu
#     bdd100k-models publish work_dirs/resnet18_mini_timeofday_synthetic/epoch_6.pth \
#         tagging/weights/resnet18_mini_timeofday_synthetic.pth --half
_base_ = [
    '../_base_/models/resnet18_mini.py',
    '../_base_/datasets/timeofday_224x224.py',
    '../../../det/configs/_base_/schedules/schedule_mini.py',
    '../_base_/default_runtime.py'
]
model = dict(head=dict(num_classes=4))

train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(480, 270)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs')
        ]))
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(480, 270)),
            dict(type='PackInputs')
        ]))
test_dataloader = dict(
    num_workers=2,
    dataset=dict(
        data_root='data/synthetic/',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(480, 270)),
            dict(type='PackInputs')
        ]))
train_cfg = dict(max_epochs=6, val_interval=6)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=6, eta_min_ratio=0.01, convert_to_iter_based=True)
]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=1, max_keep_ckpts=2))
auto_scale_lr = dict(base_batch_size=16)
load_from = 'tagging/weights/resnet18_mini_timeofday_synthetic.pth'
