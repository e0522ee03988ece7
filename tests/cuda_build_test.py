"""How the build chooses the engine's CUDA kernels (cmake/cuda.cmake): with a PyTorch and an nvcc that are a few lines each."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("WHET_SOURCE_DIR", pathlib.Path(__file__).resolve().parent.parent))

# Where the file is one part of a build: what cmake/torch.cmake finds stands before it.
PROJECT = """cmake_minimum_required(VERSION 3.20)
project(probe NONE)
set(CMAKE_CXX_COMPILER {compiler})
set(torch_root ${{CMAKE_SOURCE_DIR}}/torch)
set(torch_version 2.13.0)
set(torch_cuda 13.0)
include({source}/cmake/cuda.cmake)
message(STATUS "chosen ${{whet_cuda_kernels}}, headers [${{whet_cuda_headers}}]")
"""

# Its objects call one function of the runtime, as those of the real one do.
NVCC = """#!/bin/sh
case "$*" in
  --version) echo "Cuda compilation tools, release {release}, V{release}.1" ;;
  *" -M "*) printf 'probe.o : probe.cu \\\\\\n  {folder}/headers/cuda_runtime_api.h \\\\\\n' ;;
  *) {complaint}
     for output; do :; done
     echo 'extern "C" int {function}(); int probe() {{ return {function}(); }}' | {compiler} -fPIC -c -x c++ - -o "$output" ;;
esac
"""


@unittest.skipUnless(shutil.which("cmake") and shutil.which("g++"), "wants cmake and g++")
class CudaBuild(unittest.TestCase):
    def configure(self, release="13.0", function="launch", complaint="", options=()):
        """What cmake says of CUDA, and which file it chose with which headers."""
        with tempfile.TemporaryDirectory() as name:
            folder, compiler = pathlib.Path(name), shutil.which("g++")
            (folder / "torch/lib").mkdir(parents=True)
            subprocess.run([compiler, "-shared", "-fPIC", "-x", "c++", "-", "-o", folder / "torch/lib/libcudart.so.13"],
                           input=b'extern "C" int launch() { return 0; }', check=True)
            nvcc = folder / "nvcc"
            nvcc.write_text(NVCC.format(release=release, folder=folder, complaint=complaint, function=function, compiler=compiler))
            nvcc.chmod(0o755)
            (folder / "CMakeLists.txt").write_text(PROJECT.format(compiler=compiler, source=SOURCE))
            done = subprocess.run(["cmake", "-S", folder, "-B", folder / "build", f"-DWHET_NVCC={nvcc}", *options],
                                  capture_output=True, text=True)
            chosen = re.search(r"chosen (\S+), headers \[(.*)\]", done.stdout)
            self.headers = chosen and chosen[2].replace(name, "")
            return done.returncode, done.stdout + done.stderr, chosen and chosen[1]

    def test_an_nvcc_that_works_is_used_with_the_headers_that_it_uses_itself(self):
        code, said, chosen = self.configure()
        self.assertEqual((code, chosen, self.headers), (0, "kernels.cpp", "/headers"), said)
        self.assertIn("own kernels for 80;90", said)

    def test_objects_that_pytorchs_runtime_lacks_a_function_for_are_left_out_and_said_so(self):
        code, said, chosen = self.configure(release="13.9", function="launch_of_tomorrow")
        self.assertEqual((code, chosen), (0, "no_kernels.cpp"), said)
        self.assertRegex(said, "CUDA: a kernel could not be built with .*launch_of_tomorrow.*own kernels left out")

    def test_an_nvcc_that_refuses_the_host_compiler_is_left_out_and_said_so(self):
        refusal = 'echo "crt/host_config.h: error: unsupported GNU version!" >&2; exit 1;'
        code, said, chosen = self.configure(complaint=refusal)
        self.assertEqual((code, chosen), (0, "no_kernels.cpp"), said)
        self.assertRegex(said, r"CUDA: a kernel could not be built with .*unsupported GNU version! \(own kernels left out\)")

    def test_an_nvcc_of_another_cuda_is_left_out_and_where_kernels_are_demanded_ends_the_configuration(self):
        code, said, chosen = self.configure(release="12.8")
        self.assertEqual((code, chosen), (0, "no_kernels.cpp"), said)
        self.assertIn("is of CUDA 12, PyTorch of 13.0", said)
        code, said, chosen = self.configure(release="12.8", options=["-DWHET_CUDA=ON"])
        self.assertNotEqual(code, 0, said)
        self.assertIn("WHET_CUDA=ON, but", said)


if __name__ == "__main__":
    unittest.main()
