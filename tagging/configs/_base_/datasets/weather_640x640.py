# BDD100K weather: 640x640 at full resolution, 12 images a GPU
_base_ = ['./weather_224x224.py']
train_dataloader = dict(
    batch_size=12,
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='RandomCrop', crop_size=640),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs')
        ]))
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='CenterCrop', crop_size=640),
            dict(type='PackInputs')
        ]))
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile', to_float32=True),
            dict(type='CenterCrop', crop_size=640),
            dict(type='PackInputs')
        ]))
auto_scale_lr = dict(base_batch_size=48)
