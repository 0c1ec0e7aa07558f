# The data set's third tag, for which no model was published: the recipe of weather and scene with four classes.
_base_ = [
    '../_base_/models/resnet18.py',
    '../_base_/datasets/timeofday_224x224.py',
    '../_base_/schedules/schedule_5x.py',
    '../_base_/default_runtime.py'
]
model = dict(head=dict(num_classes=4))
