# A small ResNet-18 for weather, trained on drawn scenes from the features of the small detector.
# To make its weights again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train tagging resnet18_mini_weather_synthetic --amp --channels-last --seed 0 --device cpu
#     bdd100k-models publish work_dirs/resnet18_mini_weather_synthetic/epoch_24.pth \
#         tagging/weights/resnet18_mini_weather_synthetic.pth --half
_base_ = ['./resnet18_mini_timeofday_synthetic.py']
model = dict(head=dict(num_classes=7))
train_dataloader = dict(dataset=dict(tag='weather'))
val_dataloader = dict(dataset=dict(tag='weather'))
test_dataloader = dict(dataset=dict(tag='weather'))
val_evaluator = dict(format=dict(tag='weather'))
test_evaluator = dict(format=dict(tag='weather'))
train_cfg = dict(max_epochs=24, val_interval=24)
optim_wrapper = dict(optimizer=dict(lr=0.002))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=24, eta_min_ratio=0.01, convert_to_iter_based=True)
]
load_from = 'tagging/weights/resnet18_mini_weather_synthetic.pth'
