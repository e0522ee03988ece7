// CUDA as far as the engine knows it. Which file implements it is chosen by the build (cmake/cuda.cmake): backend.cpp
// where the PyTorch that was found has CUDA, no_backend.cpp elsewhere, so that such a build has no trace of it.
#pragma once

#include <string>

namespace whet::engine::cuda {

/// GPUs that PyTorch sees, at least one. UserError naming what `device` asks for where there is none.
int device_count(const std::string& device);

/// For versions: "CUDA 13.0, with kernels for sm_80, sm_90"; empty without CUDA.
std::string description();

}  // namespace whet::engine::cuda
