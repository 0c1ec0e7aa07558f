_base_ = [
    '../_base_/models/faster_rcnn_hrnetv2p-w18.py',
    '../_base_/datasets/det_bdd100k_ms_b16.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/default_runtime.py'
]
optim_wrapper = dict(optimizer=dict(lr=0.02))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_hrnetv2p_w18_3x_det_bdd100k.pth'
