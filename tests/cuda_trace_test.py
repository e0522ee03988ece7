"""What the built engine contains of CUDA: nothing where it was configured without, PyTorch's library where with it."""
import os
import pathlib
import re
import subprocess
import unittest

BUILD = pathlib.Path(os.environ.get("WHET_BINARY_DIR", "build"))
ENGINE = BUILD / "libwhet_engine.so"


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@unittest.skipUnless(ENGINE.exists(), "built without the engine")
class CudaTrace(unittest.TestCase):
    def setUp(self):
        self.needed = [line for line in output("readelf", "-d", str(ENGINE)).splitlines() if "(NEEDED)" in line]
        self.symbols = output("nm", "-D", "--undefined-only", str(ENGINE))
        # What the device's own file says where there is none: its presence is how the build chose.
        self.without = b"which has no CUDA; want cpu" in ENGINE.read_bytes()

    def test_an_engine_without_cuda_needs_none_of_its_libraries_and_symbols(self):
        if not self.without:
            self.skipTest("this engine was built with CUDA")
        self.assertEqual([line for line in self.needed if re.search("cuda|cublas|cudnn|nccl", line)], [])
        # cuda* and cu[A-Z]* are the runtime's and the driver's functions; PyTorch's own end in its mangled names.
        found = re.findall(r"^\s+U (cuda[A-Z]\w*|cu[A-Z]\w*|__cudaRegister\w*|\w*c10_?4cuda\w*)", self.symbols, re.M)
        self.assertEqual(found, [])
        self.assertNotIn(b".nv_fatbin", ENGINE.read_bytes())

    def test_an_engine_with_cuda_loads_pytorchs(self):
        if self.without:
            self.skipTest("this engine was built without CUDA")
        self.assertTrue(any("libtorch_cuda.so" in line for line in self.needed), self.needed)


if __name__ == "__main__":
    unittest.main()
