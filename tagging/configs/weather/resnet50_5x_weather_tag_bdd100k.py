_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/datasets/weather_640x640.py',
    '../_base_/schedules/schedule_5x.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/tagging/weather/models/resnet50_5x_weather_tag_bdd100k.pth'
