_base_ = [
    '../_base_/models/libra_faster_rcnn_r50_fpn.py',
    '../_base_/datasets/det_bdd100k_ms.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/libra_faster_rcnn_r50_fpn_3x_det_bdd100k.pth'
