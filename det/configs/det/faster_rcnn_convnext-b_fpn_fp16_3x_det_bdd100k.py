_base_ = ['./faster_rcnn_convnext-s_fpn_fp16_3x_det_bdd100k.py']
model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.7,
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/convnext/downstream/convnext-base_3rdparty_32xb128-noema_in1k_20220301-2a0ee547.pth')),
    neck=dict(in_channels=[128, 256, 512, 1024]))
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_convnext-b_fpn_fp16_3x_det_bdd100k.pth'
