// The engine's own CUDA kernels as operations on tensors: of the two pieces of a rollout that PyTorch has no good form of.
// Each has its plain form in plain.h and says when it serves; who calls asks first. kernels.cpp where the build has nvcc
// and a PyTorch with CUDA, no_kernels.cpp elsewhere. Set WHET_CUDA_KERNELS=0 to go without them.
#pragma once

#include "engine/torch/plain.h"

namespace whet::engine::cuda {

/// What the kernels were compiled for ("sm_80, sm_90"); empty without any.
std::string kernel_architectures();

/// Float logits on a GPU, a vocabulary of at most 2^19 tokens, no top-k or top-p (those sort).
bool can_sample_rows(const at::Tensor& logits, const SamplingOptions& options);
/// As plain::sample_rows, in one walk over each row and a second look at the stretch of it that holds the token.
at::Tensor sample_rows(const at::Tensor& logits, const at::Tensor& uniforms, const SamplingOptions& options);

/// Float rows on a GPU, heads of at most 256 numbers.
bool can_decode_attention(const at::Tensor& prepared, kernels::HeadShape shape);
/// As plain::decode_attention, reading the prompt's keys and values where they are: no copy for each of its sequences.
at::Tensor decode_attention(const at::Tensor& prepared, const DeviceCache& cache, const DecodeRows& rows,
                            kernels::HeadShape shape, std::int64_t window);

}  // namespace whet::engine::cuda
