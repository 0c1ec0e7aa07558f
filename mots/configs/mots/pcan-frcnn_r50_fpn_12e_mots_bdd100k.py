# The third of three stages: the refinement of masks learns, on top of a finished tracker with masks.
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
        checkpoint='work_dirs/segtrack-frcnn_r50_fpn_12e_fixed_mots_bdd100k/epoch_12.pth'),
    stage='refine')
load_from = 'https://dl.cv.ethz.ch/bdd100k/mots/models/pcan-frcnn_r50_fpn_12e_mots_bdd100k.pth'
