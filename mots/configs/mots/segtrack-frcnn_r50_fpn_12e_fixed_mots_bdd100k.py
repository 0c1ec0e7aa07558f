# The second stage: the mask head learns, on top of QDTrack; nothing refines its masks yet.
_base_ = [
    '../_base_/models/pcan_frcnn_r50_fpn.py',
    '../_base_/datasets/mots_bdd100k.py',
    '../_base_/schedules/schedule_12e.py',
    '../_base_/default_runtime.py'
]
model = dict(
    detector=dict(backbone=dict(init_cfg=None)),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://dl.cv.ethz.ch/bdd100k/mot/models/qdtrack-frcnn_r50_fpn_12e_mot_bdd100k.pth'),
    refine_head=None,
    stage='mask')
