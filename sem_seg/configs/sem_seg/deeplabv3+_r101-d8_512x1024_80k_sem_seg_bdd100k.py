_base_ = [
    '../_base_/models/deeplabv3plus_r50-d8.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_80k.py',
    '../_base_/default_runtime.py'
]
model = dict(pretrained='open-mmlab://resnet101_v1c', backbone=dict(depth=101))
load_from = 'https://dl.cv.ethz.ch/bdd100k/sem_seg/models/deeplabv3+_r101-d8_512x1024_80k_sem_seg_bdd100k.pth'
