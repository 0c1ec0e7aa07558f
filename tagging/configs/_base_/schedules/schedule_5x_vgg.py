# 60 epochs at the rate that VGG, without normalisation layers, can bear
_base_ = ['./schedule_5x.py']
optim_wrapper = dict(optimizer=dict(lr=0.01))
