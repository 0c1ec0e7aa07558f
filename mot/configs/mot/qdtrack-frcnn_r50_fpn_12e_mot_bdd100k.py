_base_ = [
    '../_base_/models/qdtrack_frcnn_r50_fpn.py',
    '../_base_/datasets/mot_bdd100k.py',
    '../_base_/schedules/schedule_12e.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/mot/models/qdtrack-frcnn_r50_fpn_12e_mot_bdd100k.pth'
