_base_ = [
    '../_base_/models/cascade_mask_rcnn_r50_fpn.py',
    '../_base_/datasets/ins_seg_bdd100k_ms.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/default_runtime.py'
]
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadInstanceLabels'),
            dict(type='Resize', scale=(1280, 720), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs')
        ]))
load_from = 'https://dl.cv.ethz.ch/bdd100k/ins_seg/models/cascade_mask_rcnn_r50_fpn_3x_ins_seg_bdd100k.pth'
