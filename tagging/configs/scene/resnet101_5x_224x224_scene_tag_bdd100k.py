_base_ = [
    '../_base_/models/resnet101.py',
    '../_base_/datasets/scene_224x224.py',
    '../_base_/schedules/schedule_5x.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/tagging/scene/models/resnet101_5x_224x224_scene_tag_bdd100k.pth'
