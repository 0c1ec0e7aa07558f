_base_ = [
    '../_base_/models/resnet101.py',
    '../_base_/datasets/weather_640x640.py',
    '../_base_/schedules/schedule_5x.py',
    '../_base_/default_runtime.py'
]
train_dataloader = dict(batch_size=8)
auto_scale_lr = dict(base_batch_size=32)
load_from = 'https://dl.cv.ethz.ch/bdd100k/tagging/weather/models/resnet101_5x_weather_tag_bdd100k.pth'
