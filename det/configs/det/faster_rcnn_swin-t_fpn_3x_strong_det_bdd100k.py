_base_ = ['./faster_rcnn_swin-t_fpn_3x_det_bdd100k.py']
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
            dict(type='RandomCrop', crop_size=(720, 1280), allow_negative_crop=True),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackDetInputs')
        ]))
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='ModeSwitchHook', num_last_epochs=9, single_scale=True, priority=48)
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/faster_rcnn_swin-t_fpn_3x_strong_det_bdd100k.pth'
