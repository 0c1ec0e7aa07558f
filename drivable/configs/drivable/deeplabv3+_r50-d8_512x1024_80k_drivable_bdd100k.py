_base_ = [
    '../../../sem_seg/configs/_base_/models/deeplabv3plus_r50-d8.py',
    '../_base_/datasets/drivable_bdd100k_512x1024.py',
    '../../../sem_seg/configs/_base_/schedules/schedule_80k.py',
    '../../../sem_seg/configs/_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=3), auxiliary_head=dict(num_classes=3))
load_from = 'https://dl.cv.ethz.ch/bdd100k/drivable/models/deeplabv3+_r50-d8_512x1024_80k_drivable_bdd100k.pth'
