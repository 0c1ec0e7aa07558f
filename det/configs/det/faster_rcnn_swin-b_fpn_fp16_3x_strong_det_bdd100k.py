_base_ = ['./faster_rcnn_swin-s_fpn_fp16_3x_strong_det_bdd100k.py']
model = dict(
    backbone=dict(
        embed_dims=128,
        num_heads=[4, 8, 16, 32],
        init_cfg=dict(
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_base_patch4_window7_224_22k.pth')),
    neck=dict(in_channels=[128, 256, 512, 1024]))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_swin-b_fpn_fp16_3x_strong_det_bdd100k.pth'
