_base_ = [
    '../_base_/models/pointrend_r50.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_40k.py',
    '../_base_/default_runtime.py'
]
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=200),
    dict(type='PolyLR', eta_min=0.0001, power=0.9, by_epoch=False, begin=0, end=40000)
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/sem_seg/models/pointrend_r50_512x1024_40k_sem_seg_bdd100k.pth'
