_base_ = ['./faster_rcnn_hrnetv2p_w18_3x_det_bdd100k.py']
model = dict(
    backbone=dict(
        extra=dict(
            stage2=dict(num_channels=[32, 64]),
            stage3=dict(num_channels=[32, 64, 128]),
            stage4=dict(num_channels=[32, 64, 128, 256])),
        init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w32')),
    neck=dict(in_channels=[32, 64, 128, 256]))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_hrnetv2p_w32_3x_det_bdd100k.pth'
