_base_ = [
    '../_base_/models/upernet_vit-b.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_80k_vit.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/sem_seg/models/upernet_vit-b_512x1024_80k_sem_seg_bdd100k.pth'
