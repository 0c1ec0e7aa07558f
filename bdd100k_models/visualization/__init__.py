"""Drawing of labels and predictions."""
