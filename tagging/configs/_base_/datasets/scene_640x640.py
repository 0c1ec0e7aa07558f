# BDD100K scene: 640x640 at full resolution, 12 images a GPU
_base_ = ['./weather_640x640.py']
train_dataloader = dict(dataset=dict(tag='scene'))
val_dataloader = dict(dataset=dict(tag='scene'))
test_dataloader = dict(dataset=dict(tag='scene'))
val_evaluator = dict(format=dict(tag='scene'))
test_evaluator = dict(format=dict(tag='scene'))
