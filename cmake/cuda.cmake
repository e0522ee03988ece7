# What of the engine is CUDA's, after cmake/torch.cmake has found a PyTorch (torch_root, torch_version, torch_cuda).
#
#   -DWHET_CUDA=AUTO  (default) GPUs where PyTorch has CUDA; the engine's own kernels where there is an nvcc of its CUDA as well
#   -DWHET_CUDA=ON    as AUTO, but whatever is missing ends the configuration
#   -DWHET_CUDA=OFF   as if PyTorch had none: not a symbol of CUDA in the engine
#
# Which files implement cuda/backend.h and cuda/kernels.h is settled here; no other source knows.
set(WHET_CUDA AUTO CACHE STRING "CUDA in the engine: AUTO, ON or OFF")
set_property(CACHE WHET_CUDA PROPERTY STRINGS AUTO ON OFF)
set(WHET_CUDA_ARCHITECTURES "80;90" CACHE STRING "GPU generations that the engine's CUDA kernels are compiled for")
if(NOT WHET_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "WHET_CUDA is ${WHET_CUDA}, want AUTO, ON or OFF")
endif()

set(whet_cuda_folder ${CMAKE_SOURCE_DIR}/src/engine/torch/cuda)
set(whet_cuda_backend no_backend.cpp)
set(whet_cuda_kernels no_kernels.cpp)
set(whet_cuda_lack "")
set(whet_cuda_headers "")

set(whet_cuda_codes "")
foreach(architecture IN LISTS WHET_CUDA_ARCHITECTURES)
  list(APPEND whet_cuda_codes -gencode arch=compute_${architecture},code=sm_${architecture})
endforeach()
# Newer GPUs compile the newest one's PTX for themselves.
list(GET WHET_CUDA_ARCHITECTURES -1 newest)
list(APPEND whet_cuda_codes -gencode arch=compute_${newest},code=compute_${newest})
set(whet_nvcc_options -std=c++17 --cudart shared -Xcompiler -fPIC ${whet_cuda_codes})

# Tries a small kernel before the engine's build depends on nvcc: whether it works with the host compiler and knows the
# architectures, whether PyTorch's copy of the CUDA runtime has what its objects call (an nvcc of a newer release may want
# more), and where its headers are (it may be a script that calls the real one). Sets whet_cuda_headers, or whet_cuda_lack.
macro(whet_try_nvcc runtime)
  set(probe ${CMAKE_BINARY_DIR}/cuda/probe)
  file(WRITE ${probe}.cu "#include <cuda_runtime.h>\n__global__ void nothing() {}\n"
                         "int probe() { nothing<<<1, 1>>>(); return cudaGetLastError() == cudaSuccess; }\n")
  foreach(step headers compile link)
    if(step STREQUAL headers)
      set(command ${WHET_NVCC} -std=c++17 -M ${probe}.cu)
    elseif(step STREQUAL compile)
      set(command ${WHET_NVCC} ${whet_nvcc_options} -c ${probe}.cu -o ${probe}.o)
    else()
      set(command ${CMAKE_CXX_COMPILER} -shared -Wl,-z,defs -Wl,--allow-shlib-undefined ${probe}.o ${runtime} -o ${probe}.so)
    endif()
    execute_process(COMMAND ${command} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE complaint)
    if(said MATCHES "([^ \t\r\n]+)/cuda_runtime_api\\.h")
      set(whet_cuda_headers ${CMAKE_MATCH_1})
    endif()
    if(failed OR NOT whet_cuda_headers)
      if(NOT complaint)
        set(complaint "it ended with ${failed} and names no cuda_runtime_api.h")
      elseif(complaint MATCHES "[^\n]*([Ee]rror|[Ff]atal|undefined|No such|not found)[^\n]*")
        string(STRIP "${CMAKE_MATCH_0}" complaint)
      endif()
      set(whet_cuda_lack "a kernel could not be built with ${WHET_NVCC}: ${complaint} (own kernels left out)")
      break()
    endif()
  endforeach()
endmacro()

if(WHET_CUDA STREQUAL OFF)
  set(whet_cuda_lack "WHET_CUDA=OFF")
elseif(torch_cuda STREQUAL None)
  set(whet_cuda_lack "PyTorch ${torch_version} has no CUDA")
else()
  set(whet_cuda_backend backend.cpp)
  string(REGEX MATCH "^[0-9]+" torch_cuda_major "${torch_cuda}")
  find_program(WHET_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH
               PATHS /usr/local/cuda ${torch_root}/../nvidia/cu${torch_cuda_major} PATH_SUFFIXES bin)
  if(NOT WHET_NVCC)
    set(whet_cuda_lack "no nvcc (own kernels left out; give -DWHET_NVCC=...)")
  else()
    execute_process(COMMAND ${WHET_NVCC} --version OUTPUT_VARIABLE nvcc_says)
    string(REGEX MATCH "release ([0-9]+)\\.[0-9]+" nvcc_release "${nvcc_says}")
    set(nvcc_major "${CMAKE_MATCH_1}")
    # The kernels share PyTorch's copy of the CUDA runtime, whose file name has the major version.
    file(GLOB cuda_runtime ${torch_root}/lib/libcudart*.so.${torch_cuda_major}* ${torch_root}/../nvidia/*/lib/libcudart.so.${torch_cuda_major})
    if(NOT nvcc_major STREQUAL torch_cuda_major)
      set(whet_cuda_lack "${WHET_NVCC} is of CUDA ${nvcc_major}, PyTorch of ${torch_cuda} (own kernels left out)")
    elseif(NOT cuda_runtime)
      set(whet_cuda_lack "no libcudart.so.${torch_cuda_major} beside PyTorch (own kernels left out)")
    else()
      list(GET cuda_runtime 0 cuda_runtime)
      whet_try_nvcc(${cuda_runtime})
      if(NOT whet_cuda_lack)
        set(whet_cuda_kernels kernels.cpp)
      endif()
    endif()
  endif()
endif()

if(WHET_CUDA STREQUAL ON AND whet_cuda_lack)
  message(FATAL_ERROR "WHET_CUDA=ON, but ${whet_cuda_lack}")
elseif(whet_cuda_lack)
  message(STATUS "CUDA: ${whet_cuda_lack}")
else()
  message(STATUS "CUDA: PyTorch's ${torch_cuda}, own kernels for ${WHET_CUDA_ARCHITECTURES} by ${WHET_NVCC}")
endif()

# Adds the chosen files to the engine.
function(whet_add_cuda target)
  target_sources(${target} PRIVATE ${whet_cuda_folder}/${whet_cuda_backend} ${whet_cuda_folder}/${whet_cuda_kernels})
  if(whet_cuda_backend STREQUAL backend.cpp)
    set_source_files_properties(${whet_cuda_folder}/backend.cpp PROPERTIES COMPILE_DEFINITIONS "WHET_TORCH_CUDA=\"${torch_cuda}\"")
  endif()
  if(NOT whet_cuda_kernels STREQUAL kernels.cpp)
    return()
  endif()
  list(TRANSFORM WHET_CUDA_ARCHITECTURES PREPEND sm_ OUTPUT_VARIABLE names)
  list(JOIN names ", " names)
  set(objects "")
  foreach(name sampling attention)
    set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
      COMMAND ${WHET_NVCC} ${whet_nvcc_options} -O3 -I${CMAKE_SOURCE_DIR}/src
              -c ${whet_cuda_folder}/${name}.cu -o ${object}
      DEPENDS ${whet_cuda_folder}/${name}.cu ${whet_cuda_folder}/${name}_kernel.h
              ${whet_cuda_folder}/launch.h ${whet_cuda_folder}/warp.h VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  target_sources(${target} PRIVATE ${objects})
  set_source_files_properties(${objects} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  set_source_files_properties(${whet_cuda_folder}/kernels.cpp PROPERTIES
    COMPILE_DEFINITIONS "WHET_CUDA_KERNELS=\"${names}\"" INCLUDE_DIRECTORIES "${whet_cuda_headers}")
  get_filename_component(runtime_folder ${cuda_runtime} DIRECTORY)
  target_link_libraries(${target} PRIVATE ${cuda_runtime} ${torch_root}/lib/libc10_cuda.so)
  target_link_options(${target} PRIVATE -Wl,-rpath,${runtime_folder})
endfunction()
