# BDD100K detection: six heights, images as floats from the start
_base_ = ['./det_bdd100k_float.py']
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='RandomChoiceResize',
                scales=[(1280, 600), (1280, 624), (1280, 648), (1280, 672), (1280, 696), (1280, 720)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs')
        ]))
