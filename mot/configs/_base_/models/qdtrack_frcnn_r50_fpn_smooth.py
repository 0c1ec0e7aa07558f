# smooth L1 in both stages, and a wider margin between different objects
_base_ = ['./qdtrack_frcnn_r50_fpn.py']
model = dict(
    detector=dict(
        roi_head=dict(
            bbox_head=dict(loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1.0, loss_weight=1.0)))),
    track_head=dict(embed_head=dict(loss_track_aux=dict(neg_margin=0.3))))
