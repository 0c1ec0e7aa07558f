# BDD100K drivable area: crops of 769x769 for training, images one pixel larger for them
_base_ = ['./drivable_bdd100k_512x1024.py']
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='LoadSemanticLabels', task='drivable'),
            dict(type='RandomResize', scale=(1281, 721), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(769, 769), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackSegInputs')
        ]))
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='Resize', scale=(1281, 721), keep_ratio=True),
            dict(type='PackSegInputs')
        ]))
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='Resize', scale=(1281, 721), keep_ratio=True),
            dict(type='PackSegInputs')
        ]))
tta_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(640, 360), keep_ratio=True),
                dict(type='Resize', scale=(960, 540), keep_ratio=True),
                dict(type='Resize', scale=(1281, 721), keep_ratio=True),
                dict(type='Resize', scale=(1601, 901), keep_ratio=True),
                dict(type='Resize', scale=(1921, 1081), keep_ratio=True),
                dict(type='Resize', scale=(2241, 1261), keep_ratio=True)
            ],
            [
                dict(type='RandomFlip', prob=0.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='horizontal')
            ],
            [dict(type='PackSegInputs')]
        ])
]
