# BDD100K panoptic segmentation: trained at six heights from 600 to 720
_base_ = ['./pan_seg_bdd100k.py']
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='LoadPanopticLabels'),
            dict(
                type='RandomChoiceResize',
                scales=[(1280, 600), (1280, 624), (1280, 648), (1280, 672), (1280, 696), (1280, 720)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs')
        ]))
