"""Pictures for training and evaluation: where they lie, and how LR is made from HR."""
