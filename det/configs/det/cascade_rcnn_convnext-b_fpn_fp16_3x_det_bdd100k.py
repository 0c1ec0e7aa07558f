_base_ = ['./cascade_rcnn_convnext-s_fpn_fp16_3x_det_bdd100k.py']
model = dict(
    backbone=dict(
        arch='base',
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/convnext/convnext-base_in21k-pre-3rdparty_32xb128_in1k_20220124-eb2d6ada.pth')),
    neck=dict(in_channels=[128, 256, 512, 1024]))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/cascade_rcnn_convnext-b_fpn_fp16_3x_det_bdd100k.pth'
