_base_ = ['./mask_rcnn_hrnetv2p-w18.py']
model = dict(
    backbone=dict(
        extra=dict(
            stage2=dict(num_channels=[32, 64]),
            stage3=dict(num_channels=[32, 64, 128]),
            stage4=dict(num_channels=[32, 64, 128, 256])),
        init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w32')),
    neck=dict(in_channels=[32, 64, 128, 256]))
