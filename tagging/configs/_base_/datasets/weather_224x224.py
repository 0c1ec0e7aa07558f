# BDD100K weather: 224x224 from the middle of the image
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='BDD100KTaggingDataset',
        tag='weather',
        data_root='data/bdd100k/',
        ann_file='labels/det_20/det_train.json',
        data_prefix=dict(img_path='images/100k/train'),
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='RandomResizedCrop', scale=224),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs')
        ]))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KTaggingDataset',
        tag='weather',
        data_root='data/bdd100k/',
        ann_file='labels/det_20/det_val.json',
        data_prefix=dict(img_path='images/100k/val'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='ResizeEdge', scale=256, edge='short'),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackInputs')
        ]))
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KTaggingDataset',
        tag='weather',
        data_root='data/bdd100k/',
        ann_file='labels/det_20/det_val.json',
        data_prefix=dict(img_path='images/100k/val'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='ResizeEdge', scale=256, edge='short'),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackInputs')
        ]))
val_evaluator = dict(type='BDD100KMetric', task='tagging', format=dict(tag='weather'))
test_evaluator = dict(type='BDD100KMetric', task='tagging', format=dict(tag='weather'))
auto_scale_lr = dict(enable=False, base_batch_size=128)
