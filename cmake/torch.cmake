# The installed PyTorch as a C++ library: headers and shared objects of the package that scripts/setup found
# (-DWHET_PYTHON=...), or of .venv. TorchConfig.cmake is not used: for a CUDA build it demands the CUDA toolkit, and it
# links far more than the engine calls.
set(WHET_PYTHON ${CMAKE_SOURCE_DIR}/.venv/bin/python CACHE FILEPATH "Python whose PyTorch the engine uses")
execute_process(
  COMMAND ${WHET_PYTHON} -c "import torch; print(torch.__path__[0]); print(torch.__version__); print(int(torch._C._GLIBCXX_USE_CXX11_ABI)); print(torch.version.cuda)"
  OUTPUT_VARIABLE torch_facts RESULT_VARIABLE torch_result ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT torch_result EQUAL 0)
  message(FATAL_ERROR "No PyTorch in ${WHET_PYTHON}. Run 'make setup', or give -DWHET_PYTHON=<python with torch >= 2.6>, "
                      "or build without the engine: -DWHET_ENGINE=OFF")
endif()
string(REPLACE "\n" ";" torch_facts "${torch_facts}")
list(GET torch_facts 0 torch_root)
list(GET torch_facts 1 torch_version)
list(GET torch_facts 2 torch_cxx11_abi)
list(GET torch_facts 3 torch_cuda)  # its version, or None
if(torch_version VERSION_LESS 2.6)
  message(FATAL_ERROR "PyTorch ${torch_version} in ${WHET_PYTHON}, want >= 2.6")
endif()
message(STATUS "PyTorch ${torch_version} (${torch_root})")

add_library(whet_torch INTERFACE)
target_include_directories(whet_torch SYSTEM INTERFACE ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
target_compile_definitions(whet_torch INTERFACE _GLIBCXX_USE_CXX11_ABI=${torch_cxx11_abi})
# PyTorch's headers bring an fmt of their own, in a namespace of its own version, without its compiled form.
target_compile_definitions(whet_torch INTERFACE FMT_HEADER_ONLY=1)
target_link_libraries(whet_torch INTERFACE ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so)
target_link_options(whet_torch INTERFACE -Wl,-rpath,${torch_root}/lib)
include(cmake/cuda.cmake)
if(whet_cuda_backend STREQUAL backend.cpp)
  # Nothing calls it by name: PyTorch's operations find it once it is there. Its own libraries are found when it is loaded.
  target_link_options(whet_torch INTERFACE -Wl,--allow-shlib-undefined)
  target_link_libraries(whet_torch INTERFACE -Wl,--push-state,--no-as-needed,${torch_root}/lib/libtorch_cuda.so,--pop-state)
endif()
# One OpenMP runtime in the process: the engine's loops must share PyTorch's thread pool, so they link the copy that
# PyTorch brings, if it brings one.
file(GLOB torch_openmp ${torch_root}/lib/libgomp*.so*)
if(torch_openmp)
  list(GET torch_openmp 0 torch_openmp)
else()
  set(torch_openmp gomp)
endif()
target_compile_options(whet_torch INTERFACE -fopenmp)
target_link_libraries(whet_torch INTERFACE ${torch_openmp})
