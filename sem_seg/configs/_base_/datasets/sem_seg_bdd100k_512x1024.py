# BDD100K semantic segmentation: crops of 512x1024 for training, whole images for testing
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='BDD100KSemSegDataset',
        data_root='data/bdd100k/',
        ann_file='labels/sem_seg/masks/train',
        data_prefix=dict(img='images/10k/train'),
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='LoadSemanticLabels', task='sem_seg'),
            dict(type='RandomResize', scale=(1280, 720), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(512, 1024), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackSegInputs')
        ]))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KSemSegDataset',
        data_root='data/bdd100k/',
        ann_file='labels/sem_seg/masks/val',
        data_prefix=dict(img='images/10k/val'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='Resize', scale=(1280, 720), keep_ratio=True),
            dict(type='PackSegInputs')
        ]))
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KSemSegDataset',
        data_root='data/bdd100k/',
        ann_file='labels/sem_seg/masks/val',
        data_prefix=dict(img='images/10k/val'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='Resize', scale=(1280, 720), keep_ratio=True),
            dict(type='PackSegInputs')
        ]))
val_evaluator = dict(type='BDD100KMetric', task='sem_seg')
test_evaluator = dict(type='BDD100KMetric', task='sem_seg')
tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(640, 360), keep_ratio=True),
                dict(type='Resize', scale=(960, 540), keep_ratio=True),
                dict(type='Resize', scale=(1280, 720), keep_ratio=True),
                dict(type='Resize', scale=(1600, 900), keep_ratio=True),
                dict(type='Resize', scale=(1920, 1080), keep_ratio=True),
                dict(type='Resize', scale=(2240, 1260), keep_ratio=True)
            ],
            [
                dict(type='RandomFlip', prob=0.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='horizontal')
            ],
            [dict(type='PackSegInputs')]
        ])
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
