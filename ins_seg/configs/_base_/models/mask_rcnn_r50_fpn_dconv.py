_base_ = ['./mask_rcnn_r50_fpn.py']
model = dict(
    backbone=dict(
        dcn=dict(type='DCN', deform_groups=1, fallback_on_stride=False),
        stage_with_dcn=[False, True, True, True]))
