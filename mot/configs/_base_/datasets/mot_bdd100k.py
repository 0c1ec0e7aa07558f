# BDD100K MOT: pairs of frames of the tracking videos, and single images of detection as videos of one frame;
# 1280x720 stays as it is
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='BDD100KTrackPairs',
        task='mot',
        data_root='data/bdd100k/',
        ann_file='labels/box_track_20/train',
        data_prefix=dict(img='images/track/train'),
        still=dict(ann_file='labels/det_20/det_train.json', data_prefix=dict(img='images/100k/train')),
        frame_range=3,
        pipeline=[
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadTrackAnnotations'),
                    dict(type='Resize', scale=(1296, 720), keep_ratio=True),
                    dict(type='RandomFlip', prob=0.5)
                ]),
            dict(type='PackTrackInputs')
        ]))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='VideoSampler'),
    dataset=dict(
        type='BDD100KVideoDataset',
        task='mot',
        data_root='data/bdd100k/',
        ann_file='labels/box_track_20/val',
        data_prefix=dict(img='images/track/val'),
        test_mode=True,
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(1296, 720), keep_ratio=True)
                ]),
            dict(type='PackTrackInputs')
        ]))
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='VideoSampler'),
    dataset=dict(
        type='BDD100KVideoDataset',
        task='mot',
        data_root='data/bdd100k/',
        ann_file='labels/box_track_20/val',
        data_prefix=dict(img='images/track/val'),
        test_mode=True,
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(1296, 720), keep_ratio=True)
                ]),
            dict(type='PackTrackInputs')
        ]))
val_evaluator = dict(type='BDD100KMetric', task='mot')
test_evaluator = dict(type='BDD100KMetric', task='mot')
auto_scale_lr = dict(enable=False, base_batch_size=16)
