model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], bgr_to_rgb=False),
    backbone=dict(type='ResNet', depth=50, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    head=dict(
        type='HeatmapHead',
        in_channels=2048,
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
