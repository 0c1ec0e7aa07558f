_base_ = [
    '../_base_/models/cascade_rcnn_convnext-t_fpn.py',
    '../_base_/datasets/det_bdd100k_ms.py',
    '../_base_/schedules/schedule_3x_convnext.py',
    '../_base_/default_runtime.py'
]
custom_imports = dict(imports=['bdd100k_models.registry', 'mmpretrain.models'])
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/cascade_rcnn_convnext-t_fpn_fp16_3x_det_bdd100k.pth'
