model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], bgr_to_rgb=False),
    backbone=dict(
        type='MobileNetV2',
        widen_factor=1.0,
        out_indices=(7,),
        init_cfg=dict(type='Pretrained', checkpoint='mmcls://mobilenet_v2')),
    head=dict(
        type='HeatmapHead',
        in_channels=1280,
        out_channels=18,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=dict(
            type='PublishedMSRAHeatmap',
            input_size=(192, 256),
            heatmap_size=(48, 64),
            sigma=2,
            unbiased=False,
            blur_kernel_size=11)),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True))
