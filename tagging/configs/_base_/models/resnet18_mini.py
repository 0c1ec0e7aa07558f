# A ResNet-18 of three stages, 0.4 million parameters
_base_ = ['./resnet18.py']
model = dict(
    backbone=dict(
        num_stages=3,
        strides=[1, 2, 2],
        dilations=[1, 1, 1],
        out_indices=[2],
        base_channels=24,
        stem_channels=16,
        deep_stem=True,
        init_cfg=dict(type='Pretrained', checkpoint='det/weights/atss_mini_det_synthetic.pth', prefix='backbone.')),
    head=dict(in_channels=96))
