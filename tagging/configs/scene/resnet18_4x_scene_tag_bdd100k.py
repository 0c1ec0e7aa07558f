_base_ = [
    '../_base_/models/resnet18.py',
    '../_base_/datasets/scene_640x640.py',
    '../_base_/schedules/schedule_4x.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/tagging/scene/models/resnet18_4x_scene_tag_bdd100k.pth'
