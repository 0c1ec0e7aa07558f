_base_ = [
    '../_base_/models/faster_rcnn_r50_fpn_rsb.py',
    '../_base_/datasets/det_bdd100k.py',
    '../_base_/schedules/schedule_1x_rsb.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_r50_fpn_rsb_1x_det_bdd100k.pth'
