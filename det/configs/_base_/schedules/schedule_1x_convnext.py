# 12 epochs of AdamW in half precision, as ConvNeXt is trained: the rate falls with the depth of the layer
_base_ = ['./schedule_1x_swin.py']
optim_wrapper = dict(
    type='AmpOptimWrapper',
    loss_scale=dict(init_scale=512),
    constructor='LearningRateDecayOptimizerConstructor',
    paramwise_cfg=dict(_delete_=True, decay_rate=0.95, decay_type='layer_wise', num_layers=6))
