# BDD100K scene: 224x224 from the middle of the image
_base_ = ['./weather_224x224.py']
train_dataloader = dict(dataset=dict(tag='scene'))
val_dataloader = dict(dataset=dict(tag='scene'))
test_dataloader = dict(dataset=dict(tag='scene'))
val_evaluator = dict(format=dict(tag='scene'))
test_evaluator = dict(format=dict(tag='scene'))
