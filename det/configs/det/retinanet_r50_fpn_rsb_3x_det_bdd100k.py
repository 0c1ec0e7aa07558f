_base_ = [
    '../_base_/models/retinanet_r50_fpn_rsb.py',
    '../_base_/datasets/det_bdd100k_ms.py',
    '../_base_/schedules/schedule_3x_rsb.py',
    '../_base_/default_runtime.py'
]
optim_wrapper = dict(optimizer=dict(lr=0.0001))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/retinanet_r50_fpn_rsb_3x_det_bdd100k.pth'
