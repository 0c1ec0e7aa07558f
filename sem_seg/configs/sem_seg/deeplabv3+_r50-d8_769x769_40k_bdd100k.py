_base_ = ['./deeplabv3+_r50-d8_769x769_40k_sem_seg_bdd100k.py']
load_from = None
