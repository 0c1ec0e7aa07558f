# BDD100K detection: strong augmentation that mixes images, two images a GPU, a total batch of 16 on eight
_base_ = ['./det_bdd100k_b16.py']
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=dict(
            type='BDD100KDetDataset',
            data_root='data/bdd100k/',
            ann_file='labels/det_20/det_train.json',
            data_prefix=dict(img='images/100k/train'),
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]),
        pipeline=[
            dict(type='Mosaic', img_scale=(1280, 720)),
            dict(type='MixUp', img_scale=(1280, 720)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='RandomResize', scale=(1280, 720), ratio_range=(0.5, 1.5), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(1280, 720), allow_negative_crop=True),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackDetInputs')
        ]))
