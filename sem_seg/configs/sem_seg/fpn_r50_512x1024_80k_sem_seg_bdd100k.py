_base_ = [
    '../_base_/models/fpn_r50.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_80k.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/sem_seg/models/fpn_r50_512x1024_80k_sem_seg_bdd100k.pth'
