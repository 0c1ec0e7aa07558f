"""Models and parts of models that OpenMMLab lacks."""
