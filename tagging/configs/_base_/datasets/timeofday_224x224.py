# BDD100K time of day: 224x224 from the middle of the image
_base_ = ['./weather_224x224.py']
train_dataloader = dict(dataset=dict(tag='timeofday'))
val_dataloader = dict(dataset=dict(tag='timeofday'))
test_dataloader = dict(dataset=dict(tag='timeofday'))
val_evaluator = dict(format=dict(tag='timeofday'))
test_evaluator = dict(format=dict(tag='timeofday'))
