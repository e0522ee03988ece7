// The part of libtorch that the engine uses, precompiled. torch/torch.h would cost 30 s and 1.2 GB a file.
#pragma once

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/utils.h>
