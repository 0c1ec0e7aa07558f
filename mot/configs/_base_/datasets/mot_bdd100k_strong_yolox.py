# BDD100K MOT: strong augmentation that mixes pairs of frames, at 1440x800, eight pairs a GPU
_base_ = ['./mot_bdd100k.py']
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=dict(
            type='BDD100KTrackPairs',
            task='mot',
            data_root='data/bdd100k/',
            ann_file='labels/box_track_20/train',
            data_prefix=dict(img='images/track/train'),
            still=dict(ann_file='labels/det_20/det_train.json', data_prefix=dict(img='images/100k/train')),
            frame_range=3,
            keep_unmatched=True,
            min_area=1.0,
            pipeline=[
                dict(
                    type='TransformBroadcaster',
                    transforms=[dict(type='LoadImageFromFile'), dict(type='LoadTrackAnnotations')])
            ]),
        pipeline=[
            dict(type='PairMosaic', img_scale=(1440, 800)),
            dict(
                type='PairRandomAffine',
                max_rotate_degree=10.0,
                max_translate_ratio=0.1,
                scaling_ratio_range=(0.5, 1.5),
                max_shear_degree=2.0,
                border=(-720, -400)),
            dict(type='PairMixUp', img_scale=(1440, 800), ratio_range=(0.8, 1.6)),
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='YOLOXHSVRandomAug', hue_delta=5, saturation_delta=30, value_delta=30),
                    dict(type='RandomFlip', prob=0.5),
                    dict(type='RandomResize', scale=(1440, 800), ratio_range=(0.5, 1.5), keep_ratio=True),
                    dict(type='RandomCrop', crop_size=(1440, 800), allow_negative_crop=True),
                    dict(type='Pad', size=(1440, 800), pad_val=dict(img=(114, 114, 114)))
                ]),
            dict(type='PackTrackInputs')
        ]))
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(1440, 800), keep_ratio=True)
                ]),
            dict(type='PackTrackInputs')
        ]))
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(1440, 800), keep_ratio=True)
                ]),
            dict(type='PackTrackInputs')
        ]))
auto_scale_lr = dict(enable=False, base_batch_size=64)
