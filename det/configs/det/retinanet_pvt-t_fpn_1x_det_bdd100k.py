_base_ = [
    '../_base_/models/retinanet_pvt-t_fpn.py',
    '../_base_/datasets/det_bdd100k_b16.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.0001, weight_decay=0.0001))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/retinanet_pvt-t_fpn_1x_det_bdd100k.pth'
