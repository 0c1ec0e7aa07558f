# BDD100K pose: people at 192x256 pixels
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='BDD100KPoseDataset',
        data_root='data/bdd100k/',
        ann_file='labels/pose_21/pose_train.json',
        data_prefix=dict(img='images/100k/train'),
        pipeline=[
            dict(type='LoadImage', to_float32=True),
            dict(type='PersonBoxCenterScale', padding=1.25),
            dict(type='RandomCenterShift', factor=0.2, prob=0.3),
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='RandomHalfBody',
                min_total_keypoints=9,
                min_upper_keypoints=3,
                min_lower_keypoints=3,
                padding=1.5,
                prob=0.3,
                upper_prioritized_prob=0.5),
            dict(type='RandomScaleRotation', scale_factor=0.5, rotate_factor=40, rotate_prob=0.6),
            dict(type='TopdownAffine', input_size=(192, 256)),
            dict(
                type='GenerateTarget',
                encoder=dict(
                    type='PublishedMSRAHeatmap',
                    input_size=(192, 256),
                    heatmap_size=(48, 64),
                    sigma=2,
                    unbiased=False,
                    blur_kernel_size=11)),
            dict(type='PackPoseInputs')
        ]))
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KPoseDataset',
        data_root='data/bdd100k/',
        ann_file='labels/pose_21/pose_val.json',
        data_prefix=dict(img='images/100k/val'),
        bbox_file='labels/person_det_for_bdd100k_val.json',
        filter_cfg=dict(bbox_score_thr=0.0),
        test_mode=True,
        pipeline=[
            dict(type='LoadImage', to_float32=True),
            dict(type='PersonBoxCenterScale', padding=1.25),
            dict(type='TopdownAffine', input_size=(192, 256)),
            dict(type='PackPoseInputs')
        ]))
test_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KPoseDataset',
        data_root='data/bdd100k/',
        ann_file='labels/pose_21/pose_val.json',
        data_prefix=dict(img='images/100k/val'),
        bbox_file='labels/person_det_for_bdd100k_val.json',
        filter_cfg=dict(bbox_score_thr=0.0),
        test_mode=True,
        pipeline=[
            dict(type='LoadImage', to_float32=True),
            dict(type='PersonBoxCenterScale', padding=1.25),
            dict(type='TopdownAffine', input_size=(192, 256)),
            dict(type='PackPoseInputs')
        ]))
val_evaluator = dict(type='BDD100KMetric', task='pose', format=dict(vis_thr=0.2, oks_thr=0.9))
test_evaluator = dict(type='BDD100KMetric', task='pose', format=dict(vis_thr=0.2, oks_thr=0.9))
auto_scale_lr = dict(enable=False, base_batch_size=256)
