# AdamW for the small models that are trained on drawn scenes; each says how many iterations
_base_ = ['./schedule_40k.py']
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.001, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10.0))
default_hooks = dict(checkpoint=dict(interval=1000, max_keep_ckpts=2))
