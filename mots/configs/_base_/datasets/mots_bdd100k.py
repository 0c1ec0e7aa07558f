# BDD100K MOTS: pairs of frames of the tracking videos, and single images of instance segmentation as videos of one
# frame; 1280x720 stays as it is
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='BDD100KTrackPairs',
        task='mots',
        data_root='data/bdd100k/',
        ann_file='labels/seg_track_20/bitmasks/train',
        data_prefix=dict(img='images/seg_track_20/train'),
        still=dict(ann_file='labels/ins_seg/bitmasks/train', data_prefix=dict(img='images/10k/train')),
        frame_range=3,
        pipeline=[
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadTrackAnnotations', with_mask=True),
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
        task='mots',
        data_root='data/bdd100k/',
        ann_file='labels/seg_track_20/bitmasks/val',
        data_prefix=dict(img='images/seg_track_20/val'),
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
        task='mots',
        data_root='data/bdd100k/',
        ann_file='labels/seg_track_20/bitmasks/val',
        data_prefix=dict(img='images/seg_track_20/val'),
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
val_evaluator = dict(type='BDD100KMetric', task='mots')
test_evaluator = dict(type='BDD100KMetric', task='mots')
auto_scale_lr = dict(enable=False, base_batch_size=8)
