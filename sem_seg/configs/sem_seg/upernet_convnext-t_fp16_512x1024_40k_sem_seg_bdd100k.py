_base_ = [
    '../_base_/models/upernet_convnext-t.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_40k_convnext.py',
    '../_base_/default_runtime.py'
]
custom_imports = dict(imports=['bdd100k_models.registry', 'mmpretrain.models'])
load_from = 'https://dl.cv.ethz.ch/bdd100k/sem_seg/models/upernet_convnext-t_fp16_512x1024_40k_sem_seg_bdd100k.pth'
