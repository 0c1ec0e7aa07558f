_base_ = ['./nonlocal_r50-d8_512x1024_40k_sem_seg_bdd100k.py']
load_from = None
