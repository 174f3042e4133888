"""Make a loaded model fast on a CPU, with the same results to rounding.

A CPU spends much of its time on work that does not change the result: linear layers copy their bias before they
multiply, activations are another pass over memory, windows that reach over the edge compute on their padding (at 480
pixels almost half of the trunk's third stage), and attention carries values at four times the width of the memory.
"""

from lmeec.model.cpu.optimise import optimise_for_cpu

__all__ = ["optimise_for_cpu"]
