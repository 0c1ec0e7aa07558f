_base_ = [
    '../_base_/models/psanet_r50-d8.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_40k.py',
    '../_base_/default_runtime.py'
]
load_from = 'https://dl.cv.ethz.ch/bdd100k/sem_seg/models/psanet_r50-d8_512x1024_40k_sem_seg_bdd100k.pth'
