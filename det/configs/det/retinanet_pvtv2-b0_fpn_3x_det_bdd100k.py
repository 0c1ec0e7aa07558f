_base_ = [
    '../_base_/models/retinanet_pvtv2-b0_fpn.py',
    '../_base_/datasets/det_bdd100k_ms_b16.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/default_runtime.py'
]
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.0001, weight_decay=0.0001))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/retinanet_pvtv2-b0_fpn_3x_det_bdd100k.pth'
