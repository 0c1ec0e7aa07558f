_base_ = ['./cascade_rcnn_convnext-t_fpn_fp16_3x_det_bdd100k.py']
optim_wrapper = dict(paramwise_cfg=dict(num_layers=12))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/cascade_rcnn_convnext-s_fpn_fp16_3x_det_bdd100k.pth'
