_base_ = ['./faster_rcnn_swin-s_fpn_3x_det_bdd100k.py']
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale=dict(init_scale=512))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_swin-s_fpn_fp16_3x_det_bdd100k.pth'
