_base_ = [
    '../_base_/models/faster_rcnn_convnext-t_fpn.py',
    '../_base_/datasets/det_bdd100k.py',
    '../_base_/schedules/schedule_1x_convnext.py',
    '../_base_/default_runtime.py'
]
custom_imports = dict(imports=['bdd100k_models.registry', 'mmpretrain.models'])
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_convnext-t_fpn_fp16_1x_det_bdd100k.pth'
