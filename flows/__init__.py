"""The DAGs and the command line. Before torch loads: the same sums in every run.

MKL otherwise chooses threads by the machine's load and code by where memory happens
to lie, and two builds of the same sounds differ in their last bits.
"""

import os

os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
os.environ.setdefault("MKL_DYNAMIC", "FALSE")
os.environ.setdefault("OMP_DYNAMIC", "FALSE")
