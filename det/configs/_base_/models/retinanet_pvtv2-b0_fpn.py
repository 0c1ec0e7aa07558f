_base_ = ['./retinanet_pvt-t_fpn.py']
model = dict(
    backbone=dict(
        type='PyramidVisionTransformerV2',
        embed_dims=32,
        init_cfg=dict(checkpoint='https://github.com/whai362/PVT/releases/download/v2/pvt_v2_b0.pth')),
    neck=dict(in_channels=[32, 64, 160, 256]))
