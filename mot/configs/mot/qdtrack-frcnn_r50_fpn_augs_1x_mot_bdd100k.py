# The row of Vis4D's zoo with strong augmentation. Channels stay blue-green-red although the means are those of
# red-green-blue: so it was trained.
_base_ = [
    '../_base_/models/qdtrack_frcnn_r50_fpn_smooth.py',
    '../_base_/datasets/mot_bdd100k_strong_b16.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
model = dict(data_preprocessor=dict(bgr_to_rgb=False))
custom_hooks = [dict(type='PairModeSwitchHook', num_last_epochs=3)]
