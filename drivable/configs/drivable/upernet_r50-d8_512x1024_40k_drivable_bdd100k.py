_base_ = [
    '../../../sem_seg/configs/_base_/models/upernet_r50.py',
    '../_base_/datasets/drivable_bdd100k_512x1024.py',
    '../../../sem_seg/configs/_base_/schedules/schedule_40k.py',
    '../../../sem_seg/configs/_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=3), auxiliary_head=dict(num_classes=3))
load_from = 'https://dl.cv.ethz.ch/bdd100k/drivable/models/upernet_r50-d8_512x1024_40k_drivable_bdd100k.pth'
