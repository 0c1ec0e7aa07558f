_base_ = [
    '../../../sem_seg/configs/_base_/models/pspnet_r50-d8.py',
    '../_base_/datasets/drivable_bdd100k_769x769.py',
    '../../../sem_seg/configs/_base_/schedules/schedule_40k.py',
    '../../../sem_seg/configs/_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=(769, 769)),
    decode_head=dict(num_classes=3, align_corners=True),
    auxiliary_head=dict(num_classes=3, align_corners=True),
    test_cfg=dict(mode='slide', crop_size=(769, 769), stride=(513, 513)))
load_from = 'https://dl.cv.ethz.ch/bdd100k/drivable/models/pspnet_r50-d8_769x769_40k_drivable_bdd100k.pth'
