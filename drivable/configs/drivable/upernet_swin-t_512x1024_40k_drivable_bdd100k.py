_base_ = [
    '../../../sem_seg/configs/_base_/models/upernet_swin-t.py',
    '../_base_/datasets/drivable_bdd100k_512x1024.py',
    '../../../sem_seg/configs/_base_/schedules/schedule_40k_swin.py',
    '../../../sem_seg/configs/_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=3), auxiliary_head=dict(num_classes=3))
load_from = 'https://dl.cv.ethz.ch/bdd100k/drivable/models/upernet_swin-t_512x1024_40k_drivable_bdd100k.pth'
