"""The DAGs and the command line. Before torch loads: the same sums in every run.

MKL otherwise chooses threads by the machine's load and code by where memory happens
to lie, and two builds of the same sounds differ in their last bits. And threads that
spin while they wait for each other would make two builds at once ten times as slow
as one after the other; a short spin costs one build alone 2 %.
"""

import os

os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
os.environ.setdefault("MKL_DYNAMIC", "FALSE")
os.environ.setdefault("OMP_DYNAMIC", "FALSE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
