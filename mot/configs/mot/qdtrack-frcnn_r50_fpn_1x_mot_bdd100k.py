# The row of Vis4D's zoo; its weights are not published.
_base_ = [
    '../_base_/models/qdtrack_frcnn_r50_fpn_smooth.py',
    '../_base_/datasets/mot_bdd100k_b16_area.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
