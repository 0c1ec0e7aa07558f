# BDD100K instance segmentation: 1280x720, one scale, a total batch of 16 on eight GPUs
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='BDD100KInsSegDataset',
        data_root='data/bdd100k/',
        ann_file='labels/ins_seg/bitmasks/train',
        data_prefix=dict(img='images/10k/train'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadInstanceLabels'),
            dict(type='Resize', scale=(1280, 720), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs')
        ]))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KInsSegDataset',
        data_root='data/bdd100k/',
        ann_file='labels/ins_seg/bitmasks/val',
        data_prefix=dict(img='images/10k/val'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(1280, 720), keep_ratio=True),
            dict(
                type='PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
        ]))
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KInsSegDataset',
        data_root='data/bdd100k/',
        ann_file='labels/ins_seg/bitmasks/val',
        data_prefix=dict(img='images/10k/val'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(1280, 720), keep_ratio=True),
            dict(
                type='PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
        ]))
val_evaluator = dict(type='BDD100KMetric', task='ins_seg')
test_evaluator = dict(type='BDD100KMetric', task='ins_seg')
auto_scale_lr = dict(enable=False, base_batch_size=16)
