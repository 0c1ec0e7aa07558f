_base_ = ['./pointrend_r50_512x1024_40k_sem_seg_bdd100k.py']
load_from = None
