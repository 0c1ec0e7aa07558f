_base_ = ['./faster_rcnn_swin-t_fpn_3x_strong_det_bdd100k.py']
model = dict(
    backbone=dict(
        depths=[2, 2, 18, 2],
        init_cfg=dict(
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_small_patch4_window7_224.pth')))
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale=dict(init_scale=512))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_swin-s_fpn_fp16_3x_strong_det_bdd100k.pth'
