# The row of Vis4D's zoo with YOLOX-x. The weights that are tested are the moving average.
_base_ = [
    '../_base_/models/qdtrack_yolox_x.py',
    '../_base_/datasets/mot_bdd100k_strong_yolox.py',
    '../_base_/schedules/schedule_25e_yolox.py',
    '../_base_/default_runtime.py'
]
custom_hooks = [
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002, gamma=2000, update_buffers=True, priority=49)
]
