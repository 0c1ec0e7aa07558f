_base_ = [
    '../_base_/models/faster_rcnn_convnext-t_fpn.py',
    '../_base_/datasets/det_bdd100k_ms.py',
    '../_base_/schedules/schedule_3x_swin.py',
    '../_base_/default_runtime.py'
]
optim_wrapper = dict(
    type='AmpOptimWrapper',
    constructor='LearningRateDecayOptimizerConstructor',
    paramwise_cfg=dict(_delete_=True, decay_rate=0.95, decay_type='layer_wise', num_layers=6),
    loss_scale=dict(init_scale=512))
custom_imports = dict(imports=['bdd100k_models.registry', 'mmpretrain.models'])
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_convnext-t_fpn_fp16_3x_det_bdd100k.pth'
