"""Says whether the Python that runs this file has a PyTorch that the engine can be built against.

Prints "<version> <package folder>" and exits 0, or prints the reason on one line and exits 1. The package is not
imported unless --import is given, so that the usual check costs milliseconds.
"""
import importlib.util
import os
import re
import sys

OLDEST = (2, 6)
# Files that a Python-only packaging of PyTorch lacks.
NEEDED = ["include/ATen/ATen.h", "include/torch/csrc/api/include/torch/types.h", "lib/libtorch_cpu.so", "lib/libc10.so"]


def main(arguments):
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return "has no torch"
    root = os.path.dirname(spec.origin)
    try:
        with open(os.path.join(root, "version.py"), encoding="utf-8") as file:
            match = re.search(r"^__version__\s*=\s*['\"]((\d+)\.(\d+)[^'\"]*)", file.read(), re.M)
    except OSError as error:
        return f"has a torch without a readable version.py ({error.strerror})"
    if not match:
        return "has a torch of unknown version"
    if (int(match[2]), int(match[3])) < OLDEST:
        return f"has torch {match[1]}, want >= {OLDEST[0]}.{OLDEST[1]}"
    for name in NEEDED:
        if not os.path.exists(os.path.join(root, name)):
            return f"has torch {match[1]} without {name}"
    if "--import" in arguments:
        try:
            import warnings
            warnings.simplefilter("ignore")  # PyTorch warns when NumPy is absent; the engine does not use it
            import torch  # noqa: F401
        except Exception as error:  # whatever a broken installation raises
            return f"has torch {match[1]}, but it does not load: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    print(match[1], root)
    return None


if __name__ == "__main__":
    reason = main(sys.argv[1:])
    if reason:
        print(reason)
        sys.exit(1)
