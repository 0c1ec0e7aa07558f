# 105 epochs of Adam for a total batch of 256 people
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=105, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=105, milestones=[85, 100], gamma=0.1)
]
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.0005))
