# A Semantic FPN of three stages, 0.8 million parameters
_base_ = ['./fpn_r50.py']
model = dict(
    data_preprocessor=dict(size=(256, 512), test_cfg=dict(size_divisor=32)),
    pretrained=None,
    backbone=dict(
        depth=18,
        num_stages=3,
        strides=[1, 2, 2],
        dilations=[1, 1, 1],
        out_indices=[0, 1, 2],
        base_channels=24,
        stem_channels=16,
        norm_cfg=dict(type='BN', requires_grad=True),
        init_cfg=dict(
            type='Pretrained', checkpoint='ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth', prefix='backbone.')),
    neck=dict(
        in_channels=[24, 48, 96],
        out_channels=64,
        num_outs=4,
        add_extra_convs='on_output',
        norm_cfg=dict(type='BN', requires_grad=True)),
    decode_head=dict(
        in_channels=[64, 64, 64, 64],
        feature_strides=[4, 8, 16, 32],
        channels=64,
        norm_cfg=dict(type='BN', requires_grad=True)))
