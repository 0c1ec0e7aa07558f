# 12 epochs of AdamW for backbones of ResNet strikes back
_base_ = ['./schedule_1x.py']
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.0002, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bypass_duplicate=True))
