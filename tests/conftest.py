"""For every test: one torch thread, because small products on two threads mostly wait."""

import torch

torch.set_num_threads(1)
