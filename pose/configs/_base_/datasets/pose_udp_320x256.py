# BDD100K pose: people at 256x320 pixels, cut out and encoded as UDP does
_base_ = ['./pose_256x192.py']
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage', to_float32=True),
            dict(type='PersonBoxCenterScale', padding=1.25),
            dict(type='RandomCenterShift', factor=0.2, prob=0.3),
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='RandomHalfBody',
                min_total_keypoints=9,
                min_upper_keypoints=3,
                min_lower_keypoints=3,
                padding=1.5,
                prob=0.3,
                upper_prioritized_prob=0.5),
            dict(type='RandomScaleRotation', scale_factor=0.5, rotate_factor=40, rotate_prob=0.6),
            dict(type='TopdownAffine', input_size=(256, 320), use_udp=True),
            dict(
                type='GenerateTarget',
                encoder=dict(
                    type='PublishedUDPHeatmap',
                    input_size=(256, 320),
                    heatmap_size=(64, 80),
                    sigma=2,
                    blur_kernel_size=11)),
            dict(type='PackPoseInputs')
        ]))
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage', to_float32=True),
            dict(type='PersonBoxCenterScale', padding=1.25),
            dict(type='TopdownAffine', input_size=(256, 320), use_udp=True),
            dict(type='PackPoseInputs')
        ]))
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage', to_float32=True),
            dict(type='PersonBoxCenterScale', padding=1.25),
            dict(type='TopdownAffine', input_size=(256, 320), use_udp=True),
            dict(type='PackPoseInputs')
        ]))
