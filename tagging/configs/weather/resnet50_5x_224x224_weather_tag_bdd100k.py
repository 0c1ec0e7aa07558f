_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/datasets/weather_224x224.py',
    '../_base_/schedules/schedule_5x.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/tagging/weather/models/resnet50_5x_224x224_weather_tag_bdd100k.pth'
