_base_ = ['./mask_rcnn_r50_fpn.py']
model = dict(
    backbone=dict(
        plugins=[
            dict(
                cfg=dict(type='ContextBlock', ratio=0.25),
                stages=[False, True, True, True],
                position='after_conv3')
        ]))
