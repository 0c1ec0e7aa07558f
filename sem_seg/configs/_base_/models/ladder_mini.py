# A backbone of three stages and a decoder down to half the size of its input: what is thin is lost at a quarter
_base_ = ['./fpn_mini.py']
model = dict(
    # not to 32: its strides end at 16, and the fewer pixels are made up, the better
    data_preprocessor=dict(test_cfg=dict(size_divisor=16)),
    backbone=dict(type='StemResNet', norm_cfg=dict(momentum=0.03)),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type='LadderHead',
        in_channels=[16, 24, 48, 96],
        rungs=[48, 64, 64],
        dropout_ratio=0,
        num_classes=19,
        norm_cfg=dict(type='BN', momentum=0.03, requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
