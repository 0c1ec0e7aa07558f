_base_ = [
    '../../../sem_seg/configs/_base_/models/upernet_convnext-t.py',
    '../_base_/datasets/drivable_bdd100k_512x1024.py',
    '../../../sem_seg/configs/_base_/schedules/schedule_80k_convnext.py',
    '../../../sem_seg/configs/_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        arch='small',
        drop_path_rate=0.3,
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/convnext/downstream/convnext-small_3rdparty_32xb128-noema_in1k_20220301-303e75e3.pth')),
    decode_head=dict(num_classes=3),
    auxiliary_head=dict(num_classes=3))
custom_imports = dict(imports=['bdd100k_models.registry', 'mmpretrain.models'])
load_from = 'https://dl.cv.ethz.ch/bdd100k/drivable/models/upernet_convnext-s_fp16_512x1024_80k_drivable_bdd100k.pth'
